"""A broken strategy is named by its path when it is loaded."""

from datetime import timedelta

import pytest

from domain.task_type import StrategySpec
from negotiation.strategies import STRATEGIES
from negotiation.validation import check_strategy


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_every_strategy_can_be_used_with_its_name_alone(name):
    check_strategy(StrategySpec(name=name, safe_default="a"), ["a"])


@pytest.mark.parametrize(
    ("fields", "starts"),
    [
        ({"name": "dice"}, "strategy.name: expected one of "),
        ({"name": "consensus", "parameters": {"tau": 1.2}}, "strategy.parameters.tau: "),
        ({"name": "consensus", "parameters": {"tau": "many"}}, "strategy.parameters.tau: "),
        ({"name": "consensus", "parameters": {"tau": float("nan")}}, "strategy.parameters.tau: "),
        ({"name": "plurality", "parameters": {"tau": 0.7}}, "strategy.parameters.tau: "),
        ({"name": "plurality", "quorum": "most"}, "strategy.quorum: expected a fraction"),
        ({"name": "plurality", "quorum": "1/0"}, "strategy.quorum: expected a fraction"),
        ({"name": "plurality", "quorum": "4/3"}, "strategy.quorum: expected a fraction"),
        ({"name": "plurality", "deadline": timedelta(0)}, "strategy.deadline: "),
        ({"name": "plurality", "safe_default": "b"}, "strategy.safe_default: expected one of a, got 'b'"),
    ],
)
def test_the_problem_is_named(fields, starts):
    with pytest.raises(ValueError, match="strategy") as caught:
        check_strategy(StrategySpec(**fields), ["a"])
    assert str(caught.value).startswith(starts)
