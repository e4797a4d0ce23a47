"""Why it was decided so: computed from what the result was computed from, and enough to compute it again.

It repeats what proposals state (rationales, evidence) and nothing else of a task's payload.
"""

from collections.abc import Mapping, Sequence
from math import fsum
from typing import Any

from domain.decision import Result, ResultKind
from domain.proposal import Option, Proposal
from domain.task_type import StrategySpec
from negotiation.background import Background
from negotiation.counterfactuals import Turn, pivotal, ranked, switches
from negotiation.markdown import as_markdown
from negotiation.reasons import stated_reasons
from negotiation.settle import Terms, settle
from negotiation.strategies import STRATEGIES
from negotiation.votes import Ballot, Veto, Vote, cast_ballots, well_formed

__all__ = ["Background", "as_markdown", "explain", "recompute", "stated_reasons"]


def explain(
    spec: StrategySpec,
    options: Sequence[Option],
    eligible: Sequence[str],
    rounds: Sequence[Sequence[Proposal]],
    result: Result,
    step_reason: str,
    overdue: bool = False,
    terms: Terms | None = None,
    background: Mapping[str, Background] | None = None,
) -> dict[str, Any]:
    """The explanation as plain JSON. `overdue` and `terms` as they were given to `resolve`; `background` by persona."""
    names = [option.name for option in options]
    ballots = cast_ballots(options, eligible, rounds, overdue)
    ballot = ballots[-1]
    said = _last_said(rounds)
    away = pivotal(spec, names, ballot, result, terms)
    moved = switches(spec, names, ballot, result, terms)
    requirements = _requirements(spec, result)
    return {
        "version": 1,
        "strategy": spec.model_dump(mode="json"),
        "options": [option.model_dump(mode="json") for option in options],
        "eligible": list(ballot.eligible),
        "result": result.model_dump(mode="json"),
        "step": step_reason,
        "votes": [_vote(vote, said) for vote in ballot.votes],
        "vetoes": [_veto(veto, said) for veto in ballot.vetoes],
        "requirements": requirements,
        "pivotal": [_turn(turn) for turn in away],
        "strongest_dissent": _strongest_dissent(result, said),
        "would_have_changed": _changes(result, away, moved, requirements),
        "rounds": [
            _round(given, settle(spec, names, cast, terms), cast) for given, cast in zip(rounds, ballots, strict=True)
        ],
    }


def recompute(explanation: Mapping[str, Any]) -> Result:
    """The result, from the explanation alone."""
    ballot = Ballot(
        votes=tuple(
            Vote(vote["persona"], vote["option"], vote["confidence"], vote["round"], vote["note"])
            for vote in explanation["votes"]
        ),
        vetoes=tuple(Veto(veto["persona"], veto["option"]) for veto in explanation["vetoes"]),
        rejected=tuple(explanation["result"]["rejected"]),
        eligible=tuple(explanation["eligible"]),
        round=explanation["result"]["round"],
    )
    spec = StrategySpec.model_validate(explanation["strategy"])
    return settle(spec, [option["name"] for option in explanation["options"]], ballot)


def _last_said(rounds: Sequence[Sequence[Proposal]]) -> dict[tuple[str, int], Proposal]:
    """(persona, round) -> its proposal."""
    return {(p.persona, number): p for number, given in enumerate(rounds) for p in well_formed(given)}


def _vote(vote: Vote, said: Mapping[tuple[str, int], Proposal]) -> dict[str, Any]:
    proposal = said[vote.persona, vote.round]
    return {
        "persona": vote.persona,
        "persona_version": proposal.persona_version,
        "reasoner": proposal.reasoner,
        "fallback_of": proposal.fallback_of,
        "option": vote.option,
        "confidence": vote.confidence,
        "round": vote.round,
        "note": vote.note,
        "rationale": proposal.rationale,
    }


def _grounds(proposal: Proposal) -> dict[str, Any]:
    return {
        "rationale": proposal.rationale,
        "evidence": [item.model_dump(mode="json") for item in proposal.evidence],
    }


def _veto(veto: Veto, said: Mapping[tuple[str, int], Proposal]) -> dict[str, Any]:
    own = [said[key] for key in sorted(said) if key[0] == veto.persona and said[key].veto == veto.option]
    return {"persona": veto.persona, "option": veto.option, **_grounds(own[-1])}


def _requirements(spec: StrategySpec, result: Result) -> list[dict[str, Any]]:
    """Every threshold that a decision has to reach, and how far above (or below) it this result is."""
    strategy = STRATEGIES[spec.name]
    total = fsum(item.weight for item in result.weights)
    share = max(result.tally.values(), default=0.0) / total if total > 0 else 0.0
    needed = strategy.least_share(strategy.Parameters.model_validate(spec.parameters))
    rows = [("margin", result.margin, result.threshold)] + ([("share", share, needed)] if needed > 0 else [])
    return [
        {"measure": measure, "value": value, "threshold": threshold, "distance": value - threshold}
        for measure, value, threshold in rows
    ]


def _turn(turn: Turn) -> dict[str, Any]:
    result = turn.result
    return {"persona": turn.persona, "kind": result.kind.value, "option": result.option, "margin": result.margin}


def _strongest_dissent(result: Result, said: Mapping[tuple[str, int], Proposal]) -> dict[str, Any] | None:
    against = [item for item in result.weights if item.persona in result.dissent]
    if not against:
        return None
    item = min(against, key=lambda weight: (-weight.weight, weight.persona))
    own = [said[key] for key in sorted(said) if key[0] == item.persona and said[key].option == item.option]
    return {"persona": item.persona, "option": item.option, "weight": item.weight, **_grounds(own[-1])}


def _outcome(result: Result) -> str:
    return result.kind.value.replace("_", " ") + (f" for {result.option}" if result.option is not None else "")


def _changes(
    result: Result, away: Sequence[Turn], moved: Sequence[Turn], requirements: Sequence[Mapping[str, Any]]
) -> list[str]:
    lines = [f"{turn.persona} voting {turn.option}: {_outcome(turn.result)}" for turn in moved]
    lines += [f"{turn.persona} not on the panel: {_outcome(turn.result)}" for turn in away]
    for item in requirements:
        if result.kind is ResultKind.BELOW_THRESHOLD and item["distance"] < 0:
            lines.append(f"a {item['measure']} higher by {-item['distance']:.4g}")
        elif result.kind is ResultKind.DECIDED and item["threshold"] > 0:
            lines.append(f"a {item['measure']} lower by more than {item['distance']:.4g}")
    if result.kind is ResultKind.DECIDED and len(result.tally) > 1:
        first, second = ranked(result)[:2]
        lines.append(f"{result.tally[first] - result.tally[second]:.4g} more score for {second}: stalemate")
    return lines


def _round(given: Sequence[Proposal], result: Result, ballot: Ballot) -> dict[str, Any]:
    counted = {vote.persona: vote for vote in ballot.votes}
    return {
        "round": ballot.round,
        "kind": result.kind.value,
        "option": result.option,
        "margin": result.margin,
        "reason": result.reason,
        "rejected": list(ballot.rejected),
        "votes": [
            {
                "persona": proposal.persona,
                "option": proposal.option,
                "confidence": proposal.confidence,
                "cites": list(proposal.cites),
                "named_error": proposal.named_error,
                "counter": proposal.counter.name if proposal.counter is not None else None,
                "veto": proposal.veto,
                "counts_as": counted[proposal.persona].option,
                "note": counted[proposal.persona].note,
            }
            for proposal in well_formed(given)
            if proposal.persona in counted
        ],
    }
