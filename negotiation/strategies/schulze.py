"""Schulze: the option that no other beats by strongest paths over pairwise preferences (Schulze, 2011)."""

from collections import Counter
from collections.abc import Mapping, Sequence

from negotiation.learned import Learned
from negotiation.strategy import Count, NoParameters, OneVoteEach, order_of
from negotiation.votes import Vote

Links = dict[str, dict[str, int]]
"""Option -> option -> how strongly the first stands before the second; 0 where it does not."""


class Schulze(OneVoteEach):
    """A link is how many more votes rank x before y than y before x; a path is as strong as its weakest link.

    A ranked option stands before one that is not ranked; those not ranked are equal. The score is the number of options
    that x beats by strongest path. The margin is the leader's smallest lead by path over any rival, divided by
    |casting|: for two options, that of plurality. Several unbeaten options are a tie, whatever their scores.
    """

    Parameters = NoParameters

    def count(
        self, votes: Sequence[Vote], options: Sequence[str], parameters: NoParameters, learned: Learned | None
    ) -> Count:
        """Score every option by how many it beats."""
        orders = Counter(order_of(vote) for vote in votes if vote.option is not None)
        paths = strongest_paths(_links(orders))
        # Whoever ranked an option put it before all that nobody ranked: those win nothing, no path leads through them.
        behind = len(options) - len(paths)
        beaten = {one: behind + sum(paths[one][other] > paths[other][one] for other in paths) for one in paths}
        level = _unbeaten(paths)
        tied = len(level) != 1
        tally = {option: float(beaten.get(option, 0)) for option in options}
        total = sum(tally.values())
        return Count(
            tally=tally,
            weights=tuple(0.0 if vote.option is None else 1.0 for vote in votes),
            leader=None if tied else level[0],
            margin=0.0 if tied else _least_lead(paths, level[0], orders.total()) / orders.total(),
            share=max((tally[option] for option in level), default=0.0) / total if total else float(not tied),
            level=level if tied else (),
        )

    def least_share(self, parameters: NoParameters) -> float:
        """No share is asked for."""
        return 0.0

    def rule(self, parameters: NoParameters) -> str:
        """The rule's name."""
        return "schulze"


def strongest_paths(links: Links) -> Links:
    """The strength of the strongest path between every two options (Floyd and Warshall, with the smallest link)."""
    paths = {one: dict(to) for one, to in links.items()}
    for via, onward in paths.items():
        for one, to in paths.items():
            first = to[via]
            if first <= 0 or one == via:
                continue
            for other, second in onward.items():
                reach = first if first < second else second
                if reach > to[other] and other != one:
                    to[other] = reach
    return paths


def _links(orders: Counter[tuple[str, ...]]) -> Links:
    """The links between the options that somebody ranked, ordered by name."""
    ranked: Counter[str] = Counter()
    before: Counter[tuple[str, str]] = Counter()
    for order, times in orders.items():
        for place, one in enumerate(order):
            ranked[one] += times
            for other in order[place + 1 :]:
                before[one, other] += times
    # x stands before y in every vote that ranks it, but those that rank y first:
    # (ranked_x - before_yx) - (ranked_y - before_xy).
    names = sorted(ranked)
    return {
        one: {other: max(0, ranked[one] - ranked[other] + before[one, other] - before[other, one]) for other in names}
        for one in names
    }


def _unbeaten(paths: Mapping[str, Mapping[str, int]]) -> tuple[str, ...]:
    return tuple(one for one in paths if all(paths[one][other] >= paths[other][one] for other in paths))


def _least_lead(paths: Mapping[str, Mapping[str, int]], leader: str, casting: int) -> int:
    """Options that nobody ranked are never the closest: no path is stronger than the link to one of them."""
    leads = (paths[leader][other] - paths[other][leader] for other in paths if other != leader)
    return min(leads, default=casting)
