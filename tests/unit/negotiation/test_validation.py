"""A broken strategy is named by its path when it is loaded."""

from datetime import timedelta

import pytest

from domain.task_type import CertifySpec, StrategySpec
from negotiation.strategies import STRATEGIES
from negotiation.validation import check_strategy


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_every_strategy_but_one_can_be_used_with_its_name_alone(name):
    parameters = {"lead": "ann"} if name == "lead_decides" else {}
    check_strategy(StrategySpec(name=name, parameters=parameters, safe_default="a"), ["a", "b"], ["ann", "bob"])


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
        ({"name": "plurality", "safe_default": "b"}, "strategy.safe_default: expected one of a, c, got 'b'"),
    ],
)
def test_the_problem_is_named(fields, starts):
    with pytest.raises(ValueError, match="strategy") as caught:
        check_strategy(StrategySpec(**fields), ["a", "c"], ["ann", "bob"])
    assert str(caught.value).startswith(starts)


def test_leads_are_taken_as_they_are_where_the_panel_is_not_known():
    check_strategy(StrategySpec(name="lead_decides", parameters={"lead": "eve"}), ["a"])


def test_a_limit_on_the_stake_needs_a_stake():
    spec = StrategySpec(name="plurality", certify=CertifySpec(stake_limit=100))
    check_strategy(spec, ["a", "b"])
    with pytest.raises(ValueError, match=r"^strategy\.certify\.stake_limit: expected only where"):
        check_strategy(spec, ["a", "b"], stake_known=False)


@pytest.mark.parametrize(
    ("then", "starts"),
    [
        ({"name": "dice"}, "name: expected one of borda, "),
        ({"name": "consensus", "parameters": {"tau": 7}}, "parameters.tau: "),
        ({"name": "lead_decides"}, "parameters.lead: "),
        (
            {"name": "lead_decides", "parameters": {"lead": "eve"}},
            "parameters.lead: expected personas of the panel, got 'eve'",
        ),
        ({"certify": {"stake_limit": 9}}, "certify.stake_limit: expected only where the task type names a stake_field"),
    ],
)
def test_what_takes_over_is_checked_as_what_decides_before(then, starts):
    spec = StrategySpec.model_validate({"name": "plurality", "when_calibrated": then})
    with pytest.raises(ValueError, match="strategy") as caught:
        check_strategy(spec, ["a", "b"], ["ann", "bob"], stake_known=False)
    assert str(caught.value).startswith(f"strategy.when_calibrated.{starts}")


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"name": "plurality", "certify": {}}, "certify"),
        ({"name": "plurality", "when_calibrated": {}}, "when_calibrated"),
        ({"name": "log_odds"}, "name"),
        ({"name": "calibrated_pool"}, "name"),
    ],
)
def test_what_waits_for_a_calibration_stands_where_there_can_be_one(fields, path):
    spec = StrategySpec.model_validate(fields)
    check_strategy(spec, ["a", "b"])
    with pytest.raises(ValueError, match=rf"^strategy\.{path}: expected only on the task type's answer"):
        check_strategy(spec, ["a", "b"], answers=False)
    with pytest.raises(ValueError, match=rf"^strategy\.{path}: expected only where there are two actions at least"):
        check_strategy(spec, ["a"])


def test_no_more_must_cast_than_sit_on_the_panel():
    check_strategy(StrategySpec(name="plurality", min_casting=2), ["a"], ["ann", "bob"])
    with pytest.raises(ValueError, match=r"^strategy\.min_casting: expected at most 1, the size of the panel, got 2$"):
        check_strategy(StrategySpec(name="plurality"), ["a"], ["ann"])
