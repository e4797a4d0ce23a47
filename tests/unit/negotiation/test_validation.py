"""A broken strategy is named by its path when it is loaded."""

from datetime import timedelta

import pytest

from domain.task_type import CertifySpec, StrategySpec
from negotiation.strategies import STRATEGIES
from negotiation.validation import check_strategy


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_every_strategy_but_one_can_be_used_with_its_name_alone(name):
    parameters = {"lead": "ann"} if name == "lead_decides" else {}
    check_strategy(StrategySpec(name=name, parameters=parameters, safe_default="a"), ["a"], ["ann", "bob"])


@pytest.mark.parametrize(
    ("fields", "starts"),
    [
        ({"name": "dice"}, "strategy.name: expected one of "),
        ({"name": "consensus", "parameters": {"tau": 1.2}}, "strategy.parameters.tau: "),
        ({"name": "consensus", "parameters": {"tau": "many"}}, "strategy.parameters.tau: "),
        ({"name": "consensus", "parameters": {"tau": float("nan")}}, "strategy.parameters.tau: "),
        ({"name": "plurality", "parameters": {"tau": 0.7}}, "strategy.parameters.tau: "),
        ({"name": "supermajority", "parameters": {"theta": "1/2"}}, "strategy.parameters.theta: "),
        ({"name": "supermajority", "parameters": {"theta": 1.01}}, "strategy.parameters.theta: "),
        ({"name": "supermajority", "parameters": {"theta": True}}, "strategy.parameters.theta: "),
        ({"name": "supermajority", "parameters": {"theta": float("nan")}}, "strategy.parameters.theta: "),
        ({"name": "lead_decides"}, "strategy.parameters.lead: "),
        ({"name": "lead_decides", "parameters": {"lead": []}}, "strategy.parameters.lead: "),
        ({"name": "lead_decides", "parameters": {"lead": ["ann", "ann"]}}, "strategy.parameters.lead: "),
        (
            {"name": "lead_decides", "parameters": {"lead": ["ann", "eve"]}},
            "strategy.parameters.lead: expected personas of the panel, got 'eve'",
        ),
        ({"name": "plurality", "blocking_minority": "some"}, "strategy.blocking_minority: expected a fraction"),
        ({"name": "plurality", "blocking_minority": "0"}, "strategy.blocking_minority: expected a fraction"),
        (
            {"name": "plurality", "stalemate": ("round", "human", "round")},
            "strategy.stalemate: expected every step once",
        ),
        ({"name": "plurality", "quorum": "most"}, "strategy.quorum: expected a fraction"),
        ({"name": "plurality", "quorum": "1/0"}, "strategy.quorum: expected a fraction"),
        ({"name": "plurality", "quorum": "4/3"}, "strategy.quorum: expected a fraction"),
        ({"name": "plurality", "deadline": timedelta(0)}, "strategy.deadline: "),
        ({"name": "plurality", "safe_default": "b"}, "strategy.safe_default: expected one of a, got 'b'"),
    ],
)
def test_the_problem_is_named(fields, starts):
    with pytest.raises(ValueError, match="strategy") as caught:
        check_strategy(StrategySpec(**fields), ["a"], ["ann", "bob"])
    assert str(caught.value).startswith(starts)


def test_leads_are_taken_as_they_are_where_the_panel_is_not_known():
    check_strategy(StrategySpec(name="lead_decides", parameters={"lead": "eve"}), ["a"])


def test_a_limit_on_the_stake_needs_a_stake():
    spec = StrategySpec(name="plurality", certify=CertifySpec(stake_limit=100))
    check_strategy(spec, ["a"])
    with pytest.raises(ValueError, match=r"^strategy\.certify\.stake_limit: expected only where"):
        check_strategy(spec, ["a"], stake_known=False)
