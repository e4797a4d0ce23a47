"""What a result had to reach, how far it is from each of it, and who blocks."""

from typing import Any

from domain.decision import Result, ResultKind
from domain.task_type import StrategySpec
from negotiation.counterfactuals import Scene
from negotiation.settle import Judged, Terms, certification, certified
from negotiation.thresholds import has_margin, has_score, has_share, opposition, within


def requirements(spec: StrategySpec, result: Result, found: Judged, terms: Terms) -> list[dict[str, Any]]:
    """Every threshold, what was reached of it, and the distance: not negative where it is met.

    `threshold` is None where nothing is certified, `value` where no amount is known to be at stake.
    """
    counted, asked = found.counted, certification(spec)
    count = counted.count
    rows = [_row("margin", result.margin, result.threshold, has_margin(count, result.threshold))]
    needed = counted.strategy.least_share(counted.parameters)
    if needed > 0 or count.lacks is not None:
        rows.append({**_row("share", count.share, needed, has_share(count, needed)), "lacks": count.lacks})
    if asked is not None:
        met = has_score(count, result.certified)
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
    met = within(stake, limit)
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
    leader, share = scene.found.counted.count.leader, scene.spec.blocking_minority
    if leader is None:
        return None
    found = opposition(scene.spec, leader, scene.ballot)
    if not found.vetoed_by and share is None:
        return None
    return {
        "option": leader,
        "vetoed_by": list(found.vetoed_by),
        "against": list(found.against),
        "share": share,
        "needed": found.needed,
        "minority": found.minority,
        "blocks": scene.found.kind is ResultKind.BLOCKED,
    }
