"""Strategies side by side, counted by hand."""

import pytest

from evaluation.compared import Choice, compare, flip


def _took(action: str) -> Choice:
    return Choice("decided", action, action, identified=True)


def _asked(leader: str | None, kind: str = "stalemate") -> Choice:
    return Choice(kind, None, leader, identified=True)


OPEN = Choice("", None, "yes", identified=False)

RECORDED = [_took("yes"), _took("yes"), _asked("no"), _took("no"), _asked(None), _took("yes")]
OTHER = [_took("yes"), _took("no"), _took("no"), _asked("no", "below_threshold"), _asked(None), OPEN]
RIGHTS = ["yes", "no", "no", "no", None, "yes"]


def test_figures_by_hand() -> None:
    recorded, other = compare({"recorded": RECORDED, "other": OTHER}, "recorded", RIGHTS, seed=0)
    assert (recorded.n, recorded.identified, recorded.decided, recorded.escalated) == (6, 6, 4, {"stalemate": 2})
    assert (recorded.success.hits, recorded.success.n) == (3, 5)
    assert (recorded.accuracy.hits, recorded.accuracy.n) == (3, 4)
    assert (recorded.leader_accuracy.hits, recorded.leader_accuracy.n) == (4, 5)
    assert recorded.success_against is None
    assert (other.identified, other.not_identified, other.decided) == (5, 1, 3)
    assert other.escalated == {"below_threshold": 1, "stalemate": 1}
    assert (other.success.hits, other.success.n) == (3, 4)
    assert other.success_bounds == (3 / 5, 4 / 5)
    assert (other.leader_accuracy.hits, other.leader_accuracy.n) == (4, 4)
    assert (other.other_action, other.decided_now, other.escalated_now) == (1, 1, 1)
    assert (other.coverage.hits, other.coverage.n) == (3, 5)


def test_the_record_is_held_against_on_the_cases_that_both_are_identified_on() -> None:
    _, other = compare({"recorded": RECORDED, "other": OTHER}, "recorded", RIGHTS, seed=0)
    assert other.success_against is not None
    assert other.leader_against is not None
    success, leader = other.success_against.difference, other.leader_against.difference
    assert (success.n, success.wins, success.losses) == (4, 2, 1)
    assert (leader.n, leader.wins, leader.losses) == (4, 1, 0)
    assert leader.value == pytest.approx(0.25)


def test_several_strategies_are_adjusted_together() -> None:
    better = [_took("yes")] * 6
    worse = [_took("no")] * 6
    base = {"recorded": worse, "a": better, "b": better}
    figures = {one.strategy: one for one in compare(base, "recorded", ["yes"] * 6, seed=0)}
    for name in ("a", "b"):
        against = figures[name].success_against
        assert against is not None
        assert against.difference.p == pytest.approx(2 / 64)
        assert against.holm == pytest.approx(4 / 64)
        assert (against.difference.low, against.difference.high) == (1.0, 1.0)


def test_without_outcomes_nothing_is_said_about_right() -> None:
    _, other = compare({"recorded": RECORDED, "other": OTHER}, "recorded", [None] * 6, seed=0)
    assert other.success.value is None
    assert other.success_bounds is None
    assert other.success_against is None
    assert other.other_action == 1


def test_flips() -> None:
    assert flip(_took("yes"), _took("no")) == "other_action"
    assert flip(_took("yes"), _asked("yes")) == "escalated_now"
    assert flip(_asked("yes"), _took("yes")) == "decided_now"
    assert flip(_asked("yes"), _asked("no")) is None
    assert flip(_took("yes"), OPEN) is None
