"""Why it was decided so: computed from what the result was computed from, and enough to compute it again.

It repeats what proposals state (rationales, evidence) and nothing else of a task's payload; of memories it holds ids
and how they turned out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from domain.decision import Result
from domain.proposal import Option, Proposal
from domain.task_type import StrategySpec
from negotiation.background import Background
from negotiation.changes import changes
from negotiation.conflict import conflict, stated, with_telemetry
from negotiation.counterfactuals import Scene, Turn, away, lifted, surer, switches
from negotiation.learned import Learned, from_json
from negotiation.markdown import as_markdown
from negotiation.reasons import stated_reasons
from negotiation.requirements import blocking, certificate, requirements
from negotiation.settle import Judged, Terms, judge, settle
from negotiation.votes import Ballot, Veto, Vote, cast_ballots, well_formed

__all__ = ["Background", "as_markdown", "explain", "recompute", "stated_reasons", "with_telemetry"]

Said = Mapping[tuple[str, int], Proposal]
"""(persona, round) -> its proposal."""


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
    terms = terms or Terms()
    names = [option.name for option in options]
    ballots = cast_ballots(options, eligible, rounds, overdue)
    ballot, said = ballots[-1], _said(rounds)
    found = judge(spec, names, ballot, terms)
    weights = {item.persona: item.weight for item in result.weights}
    spoken = {vote.persona: _spoken(vote, said) for vote in ballot.votes}
    judged = [*(judge(spec, names, earlier, terms) for earlier in ballots[:-1]), found]
    explanation = {
        "version": 2,
        "strategy": spec.model_dump(mode="json"),
        "options": [option.model_dump(mode="json") for option in options],
        "eligible": list(ballot.eligible),
        "terms": _terms(terms, ballot, result),
        "result": result.model_dump(mode="json"),
        "step": step_reason,
        "overdue": overdue,
        "counted_instead": found.counted.missing,
        "votes": [_vote(vote, said[vote.persona, vote.round]) for vote in ballot.votes],
        "vetoes": [_veto(veto, said) for veto in ballot.vetoes],
        "requirements": requirements(spec, result, found, terms),
        "certificate": certificate(spec, result, found, terms),
        **_counterfactuals(Scene(spec, names, ballot, terms, found)),
        "strongest_dissent": _strongest_dissent(result, spoken),
        "conflict": conflict(ballot.votes, weights, spoken, terms.learned, background or {}),
        "rounds": [_round(given, one, cast) for given, one, cast in zip(rounds, judged, ballots, strict=True)],
    }
    return {**explanation, "would_have_changed": changes(explanation)}


def recompute(explanation: Mapping[str, Any]) -> Result:
    """The result, from the explanation alone."""
    ballot = Ballot(
        votes=tuple(
            Vote(
                vote["persona"],
                vote["option"],
                vote["confidence"],
                vote["round"],
                vote["note"],
                tuple(vote["ranking"]),
            )
            for vote in explanation["votes"]
        ),
        vetoes=tuple(Veto(veto["persona"], veto["option"]) for veto in explanation["vetoes"]),
        rejected=tuple(explanation["result"]["rejected"]),
        eligible=tuple(explanation["eligible"]),
        round=explanation["result"]["round"],
    )
    spec, terms = StrategySpec.model_validate(explanation["strategy"]), explanation["terms"]
    learned = from_json(terms["learned"]) if terms["learned"] is not None else None
    names = [option["name"] for option in explanation["options"]]
    return settle(spec, names, ballot, Terms(learned, terms["stake"]))


def _terms(terms: Terms, ballot: Ballot, result: Result) -> dict[str, Any]:
    learned = None if terms.learned is None else _used(terms.learned, {*ballot.eligible}, result.rule)
    return {"learned": None if learned is None else learned.as_json(), "stake": terms.stake}


def _used(learned: Learned, panel: set[str], rule: str) -> Learned:
    """What of it this panel's result depends on."""
    pool = learned.pool
    if pool is not None:
        pool = pool.model_copy(update={"weights": {name: one for name, one in pool.weights.items() if name in panel}})
    return replace(
        learned,
        rates={name: rate for name, rate in learned.rates.items() if name in panel},
        sources={name: source for name, source in learned.sources.items() if name in panel},
        certificates={name: one for name, one in learned.certificates.items() if name == rule},
        pool=pool,
    )


def _said(rounds: Sequence[Sequence[Proposal]]) -> Said:
    return {(p.persona, number): p for number, given in enumerate(rounds) for p in well_formed(given)}


def _spoken(vote: Vote, said: Said) -> Proposal:
    """What it last said for the option that its vote counts for."""
    own = [said[key] for key in sorted(said) if key[0] == vote.persona and said[key].option == vote.option]
    return own[-1]


def _vote(vote: Vote, proposal: Proposal) -> dict[str, Any]:
    return {
        "persona": vote.persona,
        "persona_version": proposal.persona_version,
        "reasoner": proposal.reasoner,
        "fallback_of": proposal.fallback_of,
        "option": vote.option,
        "ranking": list(vote.ranking),
        "confidence": vote.confidence,
        "round": vote.round,
        "note": vote.note,
        "rationale": proposal.rationale,
    }


def _grounds(proposal: Proposal) -> dict[str, Any]:
    return {
        "rationale": proposal.rationale,
        "evidence": [stated(item, proposal.persona) for item in proposal.evidence],
    }


def _veto(veto: Veto, said: Said) -> dict[str, Any]:
    own = [said[key] for key in sorted(said) if key[0] == veto.persona and said[key].veto == veto.option]
    return {"persona": veto.persona, "option": veto.option, **_grounds(own[-1])}


def _counterfactuals(scene: Scene) -> dict[str, Any]:
    counts, turns = surer(scene)
    return {
        "pivotal": [_turn(turn) for turn in away(scene)],
        "switches": [{**_turn(turn), "votes_for": turn.option} for turn in switches(scene)],
        "confidences": {
            "count": counts,
            "turns": [{**_turn(turn), "confidence": turn.confidence} for turn in turns],
        },
        "vetoes_lifted": [_turn(turn) for turn in lifted(scene)],
        "blocking": blocking(scene),
    }


def _turn(turn: Turn) -> dict[str, Any]:
    found = turn.found
    return {
        "persona": turn.persona,
        "kind": found.kind.value,
        "option": found.option,
        "margin": found.counted.count.margin,
    }


def _strongest_dissent(result: Result, spoken: Mapping[str, Proposal]) -> dict[str, Any] | None:
    against = [item for item in result.weights if item.persona in result.dissent]
    if not against:
        return None
    item = min(against, key=lambda weight: (-weight.weight, weight.persona))
    return {"persona": item.persona, "option": item.option, "weight": item.weight, **_grounds(spoken[item.persona])}


def _round(given: Sequence[Proposal], found: Judged, ballot: Ballot) -> dict[str, Any]:
    counted = {vote.persona: vote for vote in ballot.votes}
    return {
        "round": ballot.round,
        "kind": found.kind.value,
        "option": found.option,
        "leader": found.counted.count.leader,
        "margin": found.counted.count.margin,
        "score": found.counted.count.score,
        "reason": found.reason,
        "rejected": list(ballot.rejected),
        "votes": [
            {
                "persona": proposal.persona,
                "option": proposal.option,
                "ranking": list(proposal.ranking),
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
