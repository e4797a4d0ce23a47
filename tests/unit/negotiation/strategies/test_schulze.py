"""Against a published example, and against its definition taken literally."""

from itertools import pairwise, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = ("a", "b", "c", "d")
orders = st.permutations(NAMES).flatmap(lambda all_: st.integers(1, 4).map(lambda length: tuple(all_[:length])))
# Schulze (2011), section 3.1: 21 votes over four options; the order of strongest paths is d a c b.
PUBLISHED = {"acdb": 8, "badc": 2, "cdba": 4, "dbac": 4, "dcba": 3}
# The method's best-known worked election: 45 votes over five options; the order is e a c b d.
FIVE = {"acbed": 5, "adecb": 5, "bedac": 8, "cabed": 3, "caebd": 7, "cbade": 2, "dceba": 7, "ebadc": 8}


def spread(profile):
    return [tuple(order) for order, times in profile.items() for _ in range(times)]


@pytest.mark.parametrize(("profile", "order"), [(PUBLISHED, "dacb"), (FIVE, "eacbd")])
def test_the_published_order(votes, count, profile, order):
    found = count("schulze", votes(*spread(profile)), sorted(order))
    assert found.leader == order[0]
    assert found.tally == {option: float(len(order) - 1 - place) for place, option in enumerate(order)}


def strengths_by_every_path(said):
    """The strongest path between every two options, by going through all paths."""

    def place(order, option):
        return order.index(option) if option in order else len(NAMES)

    def link(one, other):
        gains = [
            (place(order, one) < place(order, other)) - (place(order, one) > place(order, other)) for order in said
        ]
        return max(0, sum(gains))

    paths = {}
    for one, other in permutations(NAMES, 2):
        between = [name for name in NAMES if name not in (one, other)]
        routes = [(one, *via, other) for length in range(3) for via in permutations(between, length)]
        paths[one, other] = max(min(link(*step) for step in pairwise(route)) for route in routes)
    return paths


@settings(deadline=None)
@given(said=st.lists(orders, min_size=1, max_size=9))
def test_the_strongest_paths_decide(votes, count, said):
    found = count("schulze", votes(*said), NAMES)
    paths = strengths_by_every_path(said)
    leads = {one: [paths[one, other] - paths[other, one] for other in NAMES if other != one] for one in NAMES}
    unbeaten = tuple(one for one in NAMES if min(leads[one]) >= 0)
    assert found.tally == {one: float(sum(lead > 0 for lead in leads[one])) for one in NAMES}
    if len(unbeaten) == 1:
        assert (found.leader, found.level) == (unbeaten[0], ())
        assert found.margin == pytest.approx(min(leads[unbeaten[0]]) / len(said), abs=1e-12)
    else:
        assert (found.leader, found.level, found.margin) == (None, unbeaten, 0.0)


def test_a_circle_is_a_stalemate(votes, count):
    found = count("schulze", votes("abc", "bca", "cab"))
    assert (found.leader, found.level, found.margin) == (None, ("a", "b", "c"), 0.0)


def test_first_places_alone_give_what_plurality_gives(votes, count):
    said = votes("a", "a", "a", "b", "b", None)
    found, plain = count("schulze", said), count("plurality", said)
    assert (found.leader, found.margin, found.weights) == (plain.leader, plain.margin, plain.weights)


def test_options_that_nobody_ranked_win_nothing(votes, count):
    many = tuple(f"x{number}" for number in range(2000))
    found = count("schulze", votes("a", "a", "b"), ("a", "b", *many))
    assert (found.leader, found.tally["a"], found.tally["b"], found.tally["x7"]) == ("a", 2001.0, 2000.0, 0.0)


def test_the_ends(votes, count):
    nobody = count("schulze", votes(None))
    assert (nobody.leader, nobody.level, nobody.margin, nobody.share) == (None, (), 0.0, 0.0)
    single = count("schulze", votes("a"), "a")
    assert (single.leader, single.margin, single.share) == ("a", 1.0, 1.0)
