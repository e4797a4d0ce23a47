"""Strategies by name, under the rules that cases were decided by."""

import pytest

from control_plane.services.compared_strategies import read_names, reference_rule, strategy_specs
from domain.errors import InputError
from domain.task_type import StrategySpec, SubtaskSpec

BLOCK = {
    "name": "confidence_weighted",
    "escalate_below": 0.5,
    "when_calibrated": {"name": "calibrated_pool", "certify": {"alpha": 0.2, "stake_limit": 900}},
}


def _subtask(block: dict[str, object]) -> SubtaskSpec:
    return SubtaskSpec.model_validate(
        {
            "id": "afford",
            "question": "?",
            "panel": ["ann", "bob"],
            "actions": [{"name": "yes"}, {"name": "no"}],
            "context": {"working": []},
            "strategy": block,
            "executor": "record_decision",
        }
    )


def test_the_rules_are_those_of_the_block_or_of_the_strategy_that_takes_over() -> None:
    found = strategy_specs(read_names("plurality,log_odds"), _subtask(BLOCK), None, None)
    assert list(found) == ["plurality", "log_odds"]
    rules = found["log_odds"]
    assert (rules.configured.name, rules.configured.escalate_below, rules.configured.certify) == ("log_odds", 0.5, None)
    assert (rules.taken_over.name, rules.taken_over.escalate_below) == ("log_odds", 0.0)
    assert rules.taken_over.certify is not None
    assert (rules.taken_over.certify.alpha, rules.taken_over.certify.stake_limit) == (0.2, 900)


def test_without_a_second_strategy_both_are_the_block() -> None:
    rules = strategy_specs(read_names("plurality"), _subtask({"name": "majority", "escalate_below": 0.3}), None, None)
    assert rules["plurality"].configured == rules["plurality"].taken_over
    assert rules["plurality"].configured == StrategySpec(name="plurality", escalate_below=0.3)


def test_alpha_is_asked_of_both() -> None:
    rules = strategy_specs(read_names("plurality"), _subtask(BLOCK), None, 0.1)["plurality"]
    assert rules.configured.certify is not None
    assert rules.taken_over.certify is not None
    assert (rules.configured.certify.alpha, rules.taken_over.certify.alpha) == (0.1, 0.1)
    assert rules.taken_over.certify.stake_limit == 900


def test_the_reference_is_the_record_or_one_that_is_compared() -> None:
    rules = ["plurality", "consensus(tau=1)", "supermajority(theta=2/3)", "supermajority(theta=3/4)"]
    assert reference_rule("recorded", rules) == "recorded"
    assert reference_rule("consensus", rules) == "consensus(tau=1)"
    assert reference_rule("supermajority(theta=3/4)", rules) == "supermajority(theta=3/4)"
    for wrong in ("supermajority", "log_odds"):
        with pytest.raises(InputError, match="--against"):
            reference_rule(wrong, rules)
