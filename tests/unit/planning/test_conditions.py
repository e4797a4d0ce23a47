import pytest

from planning.conditions import Condition, holds, parse


def test_parse():
    assert parse("first.action == approve") == Condition(subtask="first", equal=True, action="approve")
    assert parse(" first.action!=decline ") == Condition(subtask="first", equal=False, action="decline")


@pytest.mark.parametrize(
    "when", ["", "first == approve", "first.action = a", "first.action == a b", "a.action == b or x"]
)
def test_anything_else_is_refused(when):
    with pytest.raises(ValueError, match="expected"):
        parse(when)


@pytest.mark.parametrize(
    ("when", "action", "expected"),
    [
        (None, None, True),
        ("a.action == x", "x", True),
        ("a.action == x", "y", False),
        ("a.action != x", "y", True),
        ("a.action != x", "x", False),
        ("a.action == x", None, False),
        ("a.action != x", None, False),
    ],
)
def test_holds(when, action, expected):
    assert holds(when, {"a": action}) is expected
    if action is None:
        assert holds(when, {}) is expected
