"""One decides, the others advise."""

import time

import pytest

from domain.decision import ResultKind
from domain.task_type import StrategySpec
from negotiation.settle import settle
from negotiation.strategies import STRATEGIES
from negotiation.strategies.lead_decides import LeadDecidesParameters
from negotiation.votes import Ballot, Vote


def test_the_leads_vote_is_the_result(votes, count):
    found = count("lead_decides", votes("a", "b", "a"), lead="p01")
    assert (found.leader, found.margin, found.share, found.weights) == ("b", 1.0, 1.0, (0.0, 1.0, 0.0))
    assert found.tally == {"a": 0.0, "b": 1.0, "c": 0.0}


@pytest.mark.parametrize(
    ("said", "leader"),
    [(("a", "b", "c"), "c"), (("a", "b", None), "a"), (("a", "b"), "a"), ((None, "b", None), None), ((), None)],
)
def test_the_first_that_votes_decides(votes, count, said, leader):
    found = count("lead_decides", votes(*said), lead=["p02", "p00"])
    assert found.leader == leader
    assert sum(found.weights) == (leader is not None)
    assert found.level == ()


def test_without_a_lead_nothing_is_decided(votes):
    cast = tuple(votes("a", "a", None))
    ballot = Ballot(cast, (), (), ("p00", "p01", "p02"), 0)
    result = settle(StrategySpec(name="lead_decides", parameters={"lead": "p02"}), ("a", "b"), ballot)
    assert (result.kind, result.reason) == (ResultKind.STALEMATE, "no option leads")


def test_every_vote_states_its_part(votes):
    ballot = Ballot(tuple(votes("a", "b", "b")), (), (), ("p00", "p01", "p02"), 0)
    spec = StrategySpec(name="lead_decides", parameters={"lead": ["p01", "p00"]})
    result = settle(spec, ("a", "b"), ballot)
    assert (result.option, result.dissent, result.rule) == ("b", ("p00",), "lead_decides(lead=p01, p00)")
    assert [item.source for item in result.weights] == [
        "leads where the 1 before it do not vote, round 0",
        "leads, round 0",
        "advises, round 0",
    ]


def test_the_rule_names_leads_apart_however_many_there_are():
    strategy = STRATEGIES["lead_decides"]
    many = [f"p{number}" for number in range(3000)]
    one, other = (strategy.rule(LeadDecidesParameters(lead=tuple(lead))) for lead in (many, [*many[:-1], "q"]))
    assert one.startswith("lead_decides(lead=p0, p1, p2, p3, p4 and 2995 more (")
    assert one != other
    assert len(one) < 80


def test_a_long_list_of_leads_costs_no_look_through_it():
    parameters = LeadDecidesParameters(lead=tuple(f"p{number:04}" for number in range(4000)))
    cast = [Vote(f"p{number:04}", "a", 0.5, 0) for number in range(3000, 4000)]
    started = time.perf_counter()
    for _ in range(5):
        assert STRATEGIES["lead_decides"].count(cast, ("a", "b"), parameters, None).weights[0] == 1.0
    assert time.perf_counter() - started < 0.25


@pytest.mark.parametrize("lead", [None, [], "", ["a", ""], ["a", "a"], 3])
def test_the_leads_are_distinct_personas(lead):
    with pytest.raises(ValueError, match="lead"):
        LeadDecidesParameters.model_validate({} if lead is None else {"lead": lead})
