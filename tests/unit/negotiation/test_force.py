"""The strategy that takes over once a calibration is active."""

from domain.task_type import StrategySpec
from negotiation.force import in_force, to_calibrate
from negotiation.learned import Learned

SPEC = StrategySpec.model_validate(
    {
        "name": "confidence_weighted",
        "rounds": 3,
        "quorum": "1/2",
        "escalate_below": 0.5,
        "when_calibrated": {"name": "log_odds", "certify": {"alpha": 0.2}},
    }
)


def test_the_configured_strategy_is_in_force_until_a_calibration_is_active():
    assert in_force(SPEC, None) == SPEC


def test_then_the_other_one_takes_over_with_its_bound_and_keeps_the_rules_of_the_panel():
    taken = in_force(SPEC, Learned(version=1, rates={}, mean_rate=0.6, withdrawn="an alarm"))
    assert taken == to_calibrate(SPEC)
    assert (taken.name, taken.certify.alpha, taken.escalate_below) == ("log_odds", 0.2, 0.0)
    assert (taken.rounds, taken.quorum, taken.when_calibrated) == (3, "1/2", None)


def test_without_a_second_strategy_nothing_changes():
    plain = StrategySpec(name="plurality", escalate_below=0.5)
    assert in_force(plain, Learned(version=1, rates={}, mean_rate=0.6)) == plain
