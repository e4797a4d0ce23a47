"""What a subtask asks of its panel, and how it differs from what a calibration was made for."""

from domain.calibration import Calibration, Contract
from domain.canonical import digest
from domain.task_type import SubtaskSpec

_WORDS = {
    "question": "the subtask's question is another one now",
    "context": "what the subtask shows its personas, or hides from them, has changed",
    "actions": "the order of the subtask's actions, or what a counter-proposal may set on them, has changed",
}


def contract_of(spec: SubtaskSpec) -> Contract:
    """The subtask as its personas see it."""
    return Contract(
        declared=tuple(action.name for action in spec.actions),
        question=digest(spec.question),
        context=digest(spec.context.model_dump(mode="json")),
        actions=digest([action.model_dump(mode="json") for action in spec.actions]),
    )


def changed(calibration: Calibration, spec: SubtaskSpec) -> str | None:
    """What has changed since the calibration was made, in words; None where nothing has.

    A part that the calibration did not keep is not compared.
    """
    then, now = calibration.contract, contract_of(spec)
    made = f"calibration {calibration.version} was made"
    for name in now.declared:
        if then.declared and name not in then.declared:
            return f"action {name} is declared; {made} without it"
    for name in then.declared:
        if name not in now.declared:
            return f"action {name} is not declared; {made} with it"
    if len(now.declared) != calibration.options:
        return f"the subtask has {len(now.declared)} options; {made} with {calibration.options}"
    for part, words in _WORDS.items():
        kept = getattr(then, part)
        if kept and kept != getattr(now, part):
            return f"{words}; {made} before that"
    return None
