"""Strategies side by side on the same blind votes: no round is missing, so every case counts for every strategy."""

from collections.abc import Mapping, Sequence

from domain.model import Frozen
from evaluation.compared import Against, adjusted
from evaluation.paired import PairedDifference, paired_difference
from evaluation.rates import Rate, rate

SIGNIFICANT = 0.05


class BlindChoice(Frozen):
    """What a strategy makes of one case's blind vote."""

    leader: str | None
    """The action that leads; None on a tie."""
    decided: bool
    """Whether its certified threshold lets it decide."""


class BlindFigures(Frozen):
    """One strategy on the blind votes of the resolved cases."""

    strategy: str
    n: int
    """Resolved cases; without those whose recorded strategy cannot be used any more, for `recorded`."""
    ties: int
    """No option leads: wrong."""
    accuracy: Rate
    """The leader is right, whether or not it may decide."""
    certified_coverage: Rate
    """Decided by its certified threshold, of the resolved cases."""
    certified_error: Rate
    """Wrong, of those that its certified threshold decides."""
    against: Against | None = None
    """Against the reference on the same cases; None for the reference itself, and without cases."""


def compare_blind(
    choices: Mapping[str, Sequence[BlindChoice | None]],
    reference: str,
    rights: Sequence[str | None],
    seed: int,
    passed: Sequence[str] = (),
) -> tuple[BlindFigures, ...]:
    """The figures of every strategy; `passed` names those that are tested against nothing.

    All sequences are of the same cases in the same order; `rights` holds the right action, None where unknown.
    """
    tested = {
        name: _difference(chosen, choices[reference], rights, seed)
        for name, chosen in choices.items()
        if name != reference and name not in passed
    }
    against = adjusted({name: found for name, found in tested.items() if found is not None})
    return tuple(_figures(name, chosen, rights, against.get(name)) for name, chosen in choices.items())


def _figures(
    name: str, chosen: Sequence[BlindChoice | None], rights: Sequence[str | None], against: Against | None
) -> BlindFigures:
    known = [(one, right) for one, right in zip(chosen, rights, strict=True) if one is not None and right is not None]
    decided = [one.leader == right for one, right in known if one.decided]
    return BlindFigures(
        strategy=name,
        n=len(known),
        ties=sum(one.leader is None for one, _ in known),
        accuracy=rate(sum(one.leader == right for one, right in known), len(known)),
        certified_coverage=rate(len(decided), len(known)),
        certified_error=rate(decided.count(False), len(decided)),
        against=against,
    )


def _difference(
    chosen: Sequence[BlindChoice | None],
    base: Sequence[BlindChoice | None],
    rights: Sequence[str | None],
    seed: int,
) -> PairedDifference | None:
    known = [
        (one.leader == right, other.leader == right)
        for one, other, right in zip(chosen, base, rights, strict=True)
        if one is not None and other is not None and right is not None
    ]
    return paired_difference([one for one, _ in known], [other for _, other in known], seed)


def in_words(figures: Sequence[BlindFigures], reference: str) -> list[str]:
    """What the paired tests say, and what they do not."""
    tested = [(one.strategy, one.against) for one in figures if one.against is not None]
    if not tested:
        return []
    n = max(against.difference.n for _, against in tested)
    told = [_told(name, against, reference) for name, against in tested if against.holm < SIGNIFICANT]
    noise = [name for name, against in tested if against.holm >= SIGNIFICANT]
    if noise:
        least = min(against.holm for _, against in tested if against.holm >= SIGNIFICANT)
        some = "every strategy" if not told else "every other strategy"
        told.append(
            f"{some} differs from {reference} within noise on these {n} cases (smallest adjusted p = {least:.2g}): "
            "none of them can be called better or worse"
        )
    return told


def _told(name: str, against: Against, reference: str) -> str:
    found = against.difference
    more = "better" if found.value > 0 else "worse"
    return (
        f"{name} is {more} than {reference} by {100 * abs(found.value):.1f} points, more than noise explains "
        f"(95 % {100 * found.low:+.1f} to {100 * found.high:+.1f}, adjusted p = {against.holm:.2g})"
    )
