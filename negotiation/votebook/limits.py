"""What the strategies are measured against: the best single annotator, the pool of all labels, anyone right."""

from collections.abc import Sequence

from negotiation.calibration.cases import Case
from negotiation.learned import Learned


def by_reliability(annotators: Sequence[str], learned: Learned | None) -> tuple[str, ...]:
    """Best first; who has no record stands where its prior, the mean rate, puts it; equals by name."""
    if learned is None:
        return tuple(sorted(annotators))
    return tuple(sorted(annotators, key=lambda name: (-learned.rate(name), name)))


def best_single(cases: Sequence[Case], ranked: Sequence[str]) -> float:
    """Share of cases on which the best annotator of those present was right; its abstention is not right."""
    place = {name: number for number, name in enumerate(ranked)}
    firsts = [min(case.votes, key=lambda vote: place[vote.persona]) for case in cases]
    return sum(vote.option == case.right for vote, case in zip(firsts, cases, strict=True)) / len(cases)


def any_right(cases: Sequence[Case]) -> float:
    """Share of cases on which somebody was right: no rule that elects a label with a vote can do better."""
    return sum(any(vote.option == case.right for vote in case.votes) for case in cases) / len(cases)
