"""Every false cell of the table is shown to fail: a table that claims too little is wrong as well."""

from typing import NamedTuple

import pytest

from domain.calibration import PoolWeight
from negotiation.rounds import Terms
from tests.unit.negotiation.property_draws import PANEL, decide, learned, lifted, proposal
from tests.unit.negotiation.property_table import failing


class Said(NamedTuple):
    """Orders by persona (an option, a ranking, or None), their confidences, what was learned."""

    orders: tuple[str | None, ...]
    confidences: tuple[float, ...] = ()
    terms: Terms | None = None

    def votes(self):
        stated = self.confidences or (0.8,) * len(self.orders)
        return [
            proposal(persona, order[0] if order else None, confidence, ranking=tuple(order or ()))
            for persona, order, confidence in zip(PANEL, self.orders, stated, strict=False)
        ]


def pool(*weights, slope=0.0):
    fitted = {
        persona: PoolWeight(base=base, slope=slope, centre=0.0) for persona, base in zip(PANEL, weights, strict=False)
    }
    return Terms(learned({}, fitted))


EXPERT = Terms(learned({"p0": 0.9, "p1": 0.6}, {}))
# a has the most first places and the least confidence; b is everybody's first or second choice, and the lead's vote.
DIVIDED = ("abc", "bca", "abc", "abc", "bca", "cba", "cba")
UNSURE = (0.1, 0.9, 0.1, 0.1, 0.9, 0.5, 0.5)

WITNESSES = {
    "anonymity": {
        "confidence_weighted": Said(("a", "b"), (0.9, 0.2)),
        "log_odds": Said(("a", "b"), terms=EXPERT),
        "calibrated_pool": Said(("a", "b"), terms=pool(2.0, 1.0)),
        "lead_decides": Said(("a", "b")),
    },
    "full margin": {
        "log_odds": Said(("a",) * 7, terms=EXPERT),
        "calibrated_pool": Said(("a",) * 7, terms=pool(*[4.0] * 7)),
        "borda": Said(("abc", "acb", "a")),
    },
    "support": {"calibrated_pool": Said(("a", "b", None), terms=pool(1.0, 0.5, -3.0))},
    "support margin": {
        "calibrated_pool": Said(("a", "b", None), terms=pool(1.0, 0.5, -0.1)),
        "schulze": Said(("a", "bca", None, "cab")),
    },
    "not negative": {"calibrated_pool": Said(("a",), terms=pool(-1.0))},
    "equal records": {
        "confidence_weighted": Said(DIVIDED, UNSURE),
        "calibrated_pool": Said(DIVIDED, UNSURE, pool(*[1.0] * 7, slope=1.0)),
        "borda": Said(DIVIDED),
        "schulze": Said(DIVIDED),
        "lead_decides": Said(DIVIDED),
    },
}


def shown(name):
    return pytest.mark.parametrize(("strategy", "said"), WITNESSES[name].items(), ids=list(WITNESSES[name]))


def test_every_false_cell_has_its_witness():
    assert {(strategy, name) for name, row in WITNESSES.items() for strategy in row} == failing()


@shown("anonymity")
def test_who_votes_matters(strategy, said):
    one, other = (decide(strategy, each.votes(), said.terms) for each in (said, said._replace(orders=("b", "a"))))
    assert {one.option, other.option} == {"a", "b"}


@shown("full margin")
def test_a_unanimous_margin_below_one(strategy, said):
    result = decide(strategy, said.votes(), said.terms)
    assert result.option == "a"
    assert result.margin < 1.0


def after_support(strategy, said):
    votes = said.votes()
    before = decide(strategy, votes, said.terms)
    return before, decide(strategy, [*votes[:2], lifted(votes[2], before.option, 0.8), *votes[3:]], said.terms)


@shown("support")
def test_support_that_unseats(strategy, said):
    before, after = after_support(strategy, said)
    assert (before.kind, before.option, after.option) == ("decided", "a", "b")


@shown("support margin")
def test_support_that_shrinks_the_margin(strategy, said):
    before, after = after_support(strategy, said)
    assert (before.kind, after.option) == ("decided", before.option)
    assert after.margin < before.margin - 1e-3


@shown("not negative")
def test_a_negative_tally(strategy, said):
    assert decide(strategy, said.votes(), said.terms).tally["a"] < 0.0


@shown("equal records")
def test_another_leader_than_pluralitys(strategy, said):
    assert decide("plurality", said.votes()).option == "a"
    assert decide(strategy, said.votes(), said.terms).option == "b"
