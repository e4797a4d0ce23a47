from datetime import timedelta

import pytest

from planning.validation import PlanProblem, validate_plan

PERSONAS, EXECUTORS = {"ann", "bob"}, {"record"}


def check(task_type):
    validate_plan(task_type, PERSONAS, EXECUTORS)


def test_a_sound_plan_passes(make, step):
    later = step("later", depends_on=["first"], when="first.action == approve", deadline=timedelta(minutes=15))
    check(make(step("first"), later, outcome_map={"good": "approve"}, stake_field="amount"))


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"panel": ["ann", "eve"]}, "plan.subtasks[0].panel[1]"),
        ({"panel": ["ann", "ann"]}, "plan.subtasks[0].panel[1]"),
        ({"executor": "rocket"}, "plan.subtasks[0].executor"),
        ({"fallback": {"executor": "rocket"}}, "plan.subtasks[0].fallback.executor"),
        ({"compensate": {"executor": "rocket"}}, "plan.subtasks[0].compensate.executor"),
        ({"actions": [{"name": "a"}, {"name": "a"}]}, "plan.subtasks[0].actions[1].name"),
        ({"context": {"working": ["amount", "age"]}}, "plan.subtasks[0].context.working[1]"),
        ({"context": {"working": [], "hide": ["age"]}}, "plan.subtasks[0].context.hide[0]"),
        ({"strategy": {"name": "x", "safe_default": "flee"}}, "plan.subtasks[0].strategy.safe_default"),
        ({"deadline": timedelta(minutes=16)}, "plan.subtasks[0].deadline"),
        ({"deadline": timedelta(0)}, "plan.subtasks[0].deadline"),
        (
            {"deadline": timedelta(minutes=5), "strategy": {"name": "x", "deadline": timedelta(minutes=6)}},
            "plan.subtasks[0].strategy.deadline",
        ),
        ({"on_deadline": "fail"}, "plan.subtasks[0].on_deadline"),
        ({"deadline": timedelta(1), "on_deadline": "fail"}, "plan.subtasks[0].deadline"),
        (
            {"deadline": timedelta(minutes=1), "on_deadline": "default"},
            "plan.subtasks[0].strategy.safe_default",
        ),
        ({"depends_on": ["nowhere"]}, "plan.subtasks[0].depends_on[0]"),
        ({"depends_on": ["first"]}, "plan.subtasks[0].depends_on[0]"),
        ({"depends_on": ["second", "second"]}, "plan.subtasks[0].depends_on[1]"),
        ({"when": "second.action == approve"}, "plan.subtasks[0].when"),
        ({"depends_on": ["second"], "when": "second.action == fly"}, "plan.subtasks[0].when"),
        ({"depends_on": ["second"], "when": "second == approve"}, "plan.subtasks[0].when"),
    ],
)
def test_a_broken_subtask_is_named(make, step, changes, path):
    with pytest.raises(PlanProblem) as problem:
        check(make(step("first", **changes), step("second")))
    assert problem.value.path == path
    assert problem.value.expected


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"answer": "other"}, "answer"),
        ({"outcome_map": {"good": "approve", "bad": "flee"}}, "outcome_map.bad"),
        ({"stake_field": "age"}, "stake_field"),
        ({"stake_field": "name"}, "stake_field"),
        ({"sla": {"deadline": timedelta(0)}}, "sla.deadline"),
        ({"sla": {"deadline": timedelta(1), "approval_deadline": timedelta(0)}}, "sla.approval_deadline"),
        ({"approvals": {"chain": [{"role": "approver", "after": "P1D"}]}}, "approvals.chain[0].role"),
        ({"approvals": {"chain": [{"role": "head", "after": "PT0S"}]}}, "approvals.chain[0].after"),
        ({"approvals": {"chain": [{"role": "head", "after": "P7D"}]}}, "approvals.chain[0].after"),
        (
            {"approvals": {"chain": [{"role": "head", "after": "P4D"}, {"role": "board", "after": "P3D"}]}},
            "approvals.chain[1].after",
        ),
        ({"approvals": {"on_expiry": "default"}}, "plan.subtasks[0].strategy.safe_default"),
    ],
)
def test_a_broken_task_type_is_named(make, changes, path):
    with pytest.raises(PlanProblem) as problem:
        check(make(**changes))
    assert problem.value.path == path


def test_duplicate_ids(make, step):
    with pytest.raises(PlanProblem) as problem:
        check(make(step("first"), step("first")))
    assert problem.value.path == "plan.subtasks[1].id"


def test_an_unknown_planner(make, step):
    with pytest.raises(PlanProblem) as problem:
        check(make(plan={"planner": "oracle", "subtasks": [step("first")]}))
    assert problem.value.path == "plan.planner"
    assert "template" in problem.value.expected


def test_a_cycle_is_spelled_out(make, step):
    with pytest.raises(PlanProblem, match=r"(a -> b -> a|b -> a -> b)"):
        check(make(step("a", depends_on=["b"]), step("b", depends_on=["a"])))
