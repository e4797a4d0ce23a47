"""Every state a graph can be in has one way on."""

import pytest

from domain.approval import ApprovalStatus
from domain.guard import Effect
from orchestration import routes


@pytest.mark.parametrize(("denied", "next_node"), [(None, "plan"), ("not taken in", "report")])
def test_after_intake(denied, next_node):
    assert routes.after_intake({"denied": denied}) == next_node


def test_after_intake_without_a_verdict():
    assert routes.after_intake({}) == "plan"


@pytest.mark.parametrize(
    ("dispatch", "next_node"), [("wait", "wait"), ("ended", "consolidate"), ("stopped", "compensate")]
)
def test_after_dispatch(dispatch, next_node):
    assert routes.after_dispatch({"dispatch": dispatch}) == next_node


@pytest.mark.parametrize(("go", "next_node"), [("again", "negotiate"), ("decided", "guard"), ("escalated", "approve")])
def test_after_negotiate(go, next_node):
    assert routes.after_negotiate({"go": go}) == next_node


def test_only_an_allowed_action_is_carried_out():
    ways = {effect: routes.after_guard({"effect": effect.value}) for effect in Effect}
    assert [effect for effect, way in ways.items() if way == "execute"] == [Effect.ALLOW]
    assert {effect for effect, way in ways.items() if way == "end"} == {Effect.DENY, Effect.HALT}
    assert {way for way in ways.values()} == {"execute", "end", "approve"}


def test_only_an_approval_leads_back_to_the_guard():
    ways = {status: routes.after_answer({"answer": status.value}) for status in ApprovalStatus}
    assert ways == {
        ApprovalStatus.APPROVED: "guard",
        ApprovalStatus.OPEN: "answer",
        ApprovalStatus.REFUSED: "end",
        ApprovalStatus.EXPIRED: "end",
    }


@pytest.mark.parametrize(("ended", "next_node"), [("done", "end"), ("failed", "end"), ("unknown", "answer")])
def test_after_execute(ended, next_node):
    assert routes.after_execute({"ended": ended}) == next_node


@pytest.mark.parametrize(("dispatch", "next_node"), [("wait", "dispatch"), ("stopped", "compensate")])
def test_after_wait(dispatch, next_node):
    assert routes.after_wait({"dispatch": dispatch}) == next_node


@pytest.mark.parametrize(("state", "next_node"), [({}, "consolidate"), ({"compensated": "wait"}, "wait")])
def test_after_compensate(state, next_node):
    assert routes.after_compensate(state) == next_node


@pytest.mark.parametrize(
    ("route", "state"),
    [
        (routes.after_dispatch, {"dispatch": "lost"}),
        (routes.after_negotiate, {"go": "lost"}),
        (routes.after_guard, {"effect": "lost"}),
    ],
)
def test_an_unknown_state_goes_nowhere(route, state):
    with pytest.raises((KeyError, ValueError)):
        route(state)
