"""Which strategy is in force."""

from domain.task_type import StrategySpec
from negotiation.learned import Learned


def in_force(spec: StrategySpec, learned: Learned | None) -> StrategySpec:
    """The strategy as configured, or the one that the task type names for when a calibration is active.

    A calibration whose certificates were withdrawn stays in force: its strategy then sends every case to a person.
    """
    return spec if learned is None else to_calibrate(spec)


def to_calibrate(spec: StrategySpec) -> StrategySpec:
    """The strategy that a calibration is made for."""
    then = spec.when_calibrated
    if then is None:
        return spec
    taken = {"name": then.name, "parameters": then.parameters, "certify": then.certify}
    return spec.model_copy(update={**taken, "escalate_below": 0.0, "when_calibrated": None})
