"""What a result had to reach, how far it is from each of it, and who blocks."""

from math import ceil
from typing import Any

from domain.decision import Result, ResultKind
from domain.task_type import StrategySpec
from negotiation.counterfactuals import Scene
from negotiation.fractions import exact_fraction
from negotiation.settle import Judged, Terms, certification, certified
from negotiation.strategy import TIE


def requirements(spec: StrategySpec, result: Result, found: Judged, terms: Terms) -> list[dict[str, Any]]:
    """Every threshold, what was reached of it, and the distance: not negative where it is met.

    `threshold` is None where nothing is certified, `value` where no amount is known to be at stake.
    """
    counted, asked = found.counted, certification(spec)
    margin = _row("margin", result.margin, result.threshold, result.margin >= result.threshold - TIE)
    rows = [margin]
    needed, lacks = counted.strategy.least_share(counted.parameters), counted.count.lacks
    if needed > 0 or lacks is not None:
        met = lacks is None and counted.count.share >= needed - TIE
        rows.append({**_row("share", counted.count.share, needed, met), "lacks": lacks})
    if asked is not None:
        met = result.certified is not None and result.score >= result.certified
        rows.append(_row(f"certified {result.measure}", result.score, result.certified, met))
        if asked.stake_limit is not None:
            rows.append(_stake(terms.stake, asked.stake_limit))
    return rows


def _row(measure: str, value: float, threshold: float | None, met: bool) -> dict[str, Any]:
    distance = None if threshold is None else value - threshold
    return {"measure": measure, "value": value, "threshold": threshold, "distance": distance, "met": met}


def _stake(stake: float | None, limit: float) -> dict[str, Any]:
    """At most the limit may be at stake: the distance is what is left up to it."""
    distance = None if stake is None else limit - stake
    met = distance is not None and distance >= 0
    return {"measure": "stake", "value": stake, "threshold": limit, "distance": distance, "met": met}


def certificate(spec: StrategySpec, result: Result, found: Judged, terms: Terms) -> dict[str, Any] | None:
    """The certified threshold with what it was found on, in words; None where the strategy decides without one."""
    asked = certification(spec)
    standing = certified(spec, found.counted, terms.learned)
    if asked is None or standing is None:
        return None
    return {
        "rule": result.rule,
        "measure": result.measure,
        "score": result.score,
        "threshold": standing.threshold,
        "reason": standing.reason,
        "calibration": result.calibration,
        "alpha": asked.alpha,
        "delta": asked.delta,
        "stake": terms.stake,
        "stake_limit": asked.stake_limit,
    }


def blocking(scene: Scene) -> dict[str, Any] | None:
    """Who stands against the leader with a veto, or as a minority; None where neither is there."""
    leader, votes = scene.found.counted.count.leader, scene.ballot.votes
    vetoed_by = [veto.persona for veto in scene.ballot.vetoes if veto.option == leader]
    share = scene.spec.blocking_minority
    if leader is None or (not vetoed_by and share is None):
        return None
    against = [vote.persona for vote in votes if vote.option not in (None, leader)]
    needed = None if share is None else ceil(exact_fraction(share) * len(votes))
    return {
        "option": leader,
        "vetoed_by": vetoed_by,
        "against": against,
        "share": share,
        "needed": needed,
        "minority": needed is not None and len(against) >= needed,
        "blocks": scene.found.kind is ResultKind.BLOCKED,
    }
