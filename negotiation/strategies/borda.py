"""Borda: every vote gives its options points by rank (Borda, 1781)."""

from collections import Counter
from collections.abc import Sequence

from negotiation.learned import Learned
from negotiation.strategy import Count, NoParameters, OneVoteEach, front, order_of
from negotiation.votes import Vote


class Borda(OneVoteEach):
    """Of K options the first gets K-1 points, the next K-2, the last 0; those not ranked share what is left evenly.

    Margin: (first - second) / (|casting| (K-1)). It reaches K / (2 (K-1)) at most, as all other points go to the rest.
    """

    Parameters = NoParameters

    def count(
        self, votes: Sequence[Vote], options: Sequence[str], parameters: NoParameters, learned: Learned | None
    ) -> Count:
        """Score every option by its points. Points are halves, so that no sum is rounded."""
        orders = Counter(order_of(vote) for vote in votes if vote.option is not None)
        casting, last = orders.total(), len(options) - 1
        doubled, all_get = _doubled_points(orders, last)
        tally = {option: (all_get + doubled.get(option, 0)) / 2 for option in options}
        best, second, level = front(tally) if casting else (0.0, 0.0, ())
        tied = len(level) != 1
        total = casting * last * (last + 1) / 2
        return Count(
            tally=tally,
            weights=tuple(0.0 if vote.option is None else 1.0 for vote in votes),
            leader=None if tied else level[0],
            margin=0.0 if tied else (best - second) / (casting * last) if last else 1.0,
            share=0.0 if not casting else best / total if last else 1.0,
            level=level if tied else (),
        )

    def least_share(self, parameters: NoParameters) -> float:
        """No share is asked for."""
        return 0.0

    def rule(self, parameters: NoParameters) -> str:
        """The rule's name."""
        return "borda"


def _doubled_points(orders: Counter[tuple[str, ...]], last: int) -> tuple[dict[str, int], int]:
    """Twice the points that each option gets beyond what an option ranked by nobody gets, and twice the latter."""
    beyond: dict[str, int] = {}
    all_get = 0
    for order, times in orders.items():
        # The mean of the points left, last - len(order) down to 0, doubled.
        rest = max(0, last - len(order))
        all_get += times * rest
        for place, option in enumerate(order):
            beyond[option] = beyond.get(option, 0) + times * (2 * (last - place) - rest)
    return beyond, all_get
