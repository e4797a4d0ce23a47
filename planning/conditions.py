"""The `when` of a subtask: `<subtask>.action == <name>` or `!=`."""

import re
from collections.abc import Mapping

from domain.model import Frozen

_FORM = re.compile(r"\s*([a-z][a-z0-9_]*)\.action\s*(==|!=)\s*(\S+)\s*")


class Condition(Frozen):
    """A parsed `when`."""

    subtask: str
    equal: bool
    """True for `==`, False for `!=`."""
    action: str


def parse(when: str) -> Condition:
    """The condition as parts. Raises ValueError saying the form that was expected."""
    match = _FORM.fullmatch(when)
    if match is None:
        raise ValueError(f"expected '<subtask>.action == <name>' or '!=', got {when!r}")
    subtask, operator, action = match.groups()
    return Condition(subtask=subtask, equal=operator == "==", action=action)


def holds(when: str | None, actions: Mapping[str, str | None]) -> bool:
    """Whether the condition holds for the subtasks' actions; a subtask without an action satisfies neither operator.

    Raises ValueError for a condition that cannot be parsed.
    """
    if when is None:
        return True
    condition = parse(when)
    action = actions.get(condition.subtask)
    return action is not None and (action == condition.action) is condition.equal
