"""Strategies side by side on the same recorded cases."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from domain.model import Frozen
from evaluation.paired import PairedDifference, holm, paired_difference
from evaluation.rates import Rate, rate


@dataclass(frozen=True, slots=True)
class Choice:
    """What a strategy makes of one case."""

    kind: str
    """The result's kind; empty where it is not identified."""
    action: str | None
    """The action taken; None for a person, and where it is not identified."""
    leader: str | None
    """The action that leads, whether or not it may decide; None on a tie."""
    identified: bool


class Against(Frozen):
    """A strategy against the record, on the resolved cases that both are identified on."""

    difference: PairedDifference
    holm: float
    """p adjusted for all strategies that were compared (Holm)."""


class Figures(Frozen):
    """One strategy on the recorded cases."""

    strategy: str
    n: int
    identified: int
    not_identified: int
    """It asks for a round that was never held."""
    decided: int
    escalated: dict[str, int]
    """Kind of result -> cases that went to a person."""
    coverage: Rate
    """Decided, of the identified."""
    resolved: int
    """Cases with a known outcome."""
    success: Rate
    """Decided rightly, of all identified cases with a known outcome."""
    success_bounds: tuple[float, float] | None
    """Of all cases with a known outcome: were every case wrong, or every case right, that is not identified."""
    accuracy: Rate
    """Decided rightly, of the decided with a known outcome."""
    leader_accuracy: Rate
    """The leader is right, whether or not it may decide; a tie is wrong."""
    other_action: int
    """Decided for another action than the record did."""
    decided_now: int
    """Decided where the record went to a person."""
    escalated_now: int
    """Goes to a person where the record decided."""
    success_against: Against | None = None
    """Against the record; None for the record itself, and without outcomes."""
    leader_against: Against | None = None


def flip(recorded: Choice, other: Choice) -> str | None:
    """`other_action`, `decided_now`, `escalated_now`, or None where the two agree or nothing is identified."""
    if not (recorded.identified and other.identified) or recorded.action == other.action:
        return None
    if recorded.action is None:
        return "decided_now"
    return "escalated_now" if other.action is None else "other_action"


def compare(
    choices: Mapping[str, Sequence[Choice]], recorded: str, rights: Sequence[str | None], seed: int
) -> tuple[Figures, ...]:
    """The figures of every strategy; `recorded` names the one that the others are held against.

    All sequences are of the same cases in the same order; `rights` holds the right action, None where unknown.
    """
    base = choices[recorded]
    figures = [_figures(name, chosen, base, rights) for name, chosen in choices.items()]
    others = [name for name in choices if name != recorded]
    success = _against({name: (choices[name], base) for name in others}, rights, seed, leaders=False)
    leader = _against({name: (choices[name], base) for name in others}, rights, seed, leaders=True)
    return tuple(
        found.model_copy(
            update={"success_against": success.get(found.strategy), "leader_against": leader.get(found.strategy)}
        )
        for found in figures
    )


def _figures(name: str, chosen: Sequence[Choice], base: Sequence[Choice], rights: Sequence[str | None]) -> Figures:
    pairs = list(zip(chosen, rights, strict=True))
    identified = [one for one in chosen if one.identified]
    decided = [one for one in identified if one.action is not None]
    known = [(one, right) for one, right in pairs if right is not None]
    counted = [(one, right) for one, right in known if one.identified]
    hits = sum(one.action == right for one, right in counted)
    flips = Counter(flip(recorded, one) for recorded, one in zip(base, chosen, strict=True))
    unknown = len(known) - len(counted)
    return Figures(
        strategy=name,
        n=len(chosen),
        identified=len(identified),
        not_identified=len(chosen) - len(identified),
        decided=len(decided),
        escalated=dict(sorted(Counter(one.kind for one in identified if one.action is None).items())),
        coverage=rate(len(decided), len(identified)),
        resolved=len(known),
        success=rate(hits, len(counted)),
        success_bounds=(hits / len(known), (hits + unknown) / len(known)) if known else None,
        accuracy=rate(hits, sum(one.action is not None for one, _ in counted)),
        leader_accuracy=rate(sum(one.leader == right for one, right in counted), len(counted)),
        other_action=flips["other_action"],
        decided_now=flips["decided_now"],
        escalated_now=flips["escalated_now"],
    )


def _against(
    pairs: Mapping[str, tuple[Sequence[Choice], Sequence[Choice]]],
    rights: Sequence[str | None],
    seed: int,
    *,
    leaders: bool,
) -> dict[str, Against]:
    found: dict[str, PairedDifference] = {}
    for name, (chosen, base) in pairs.items():
        known = [
            (one, other, right)
            for one, other, right in zip(chosen, base, rights, strict=True)
            if right is not None and one.identified and other.identified
        ]
        hits = [_answer(one, leaders) == right for one, _, right in known]
        before = [_answer(other, leaders) == right for _, other, right in known]
        difference = paired_difference(hits, before, seed)
        if difference is not None:
            found[name] = difference
    return adjusted(found)


def adjusted(found: Mapping[str, PairedDifference]) -> dict[str, Against]:
    """Each difference with its p adjusted for all of them."""
    values = holm({name: difference.p for name, difference in found.items()})
    return {name: Against(difference=difference, holm=values[name]) for name, difference in found.items()}


def _answer(choice: Choice, leaders: bool) -> str | None:
    return choice.leader if leaders else choice.action
