from datetime import UTC, datetime, timedelta
from graphlib import CycleError

import pytest

from planning.planners import PLANNERS
from planning.planners.template import plan

START = datetime(2030, 1, 1, tzinfo=UTC)


def test_topological_and_otherwise_as_declared(make, step):
    task_type = make(step("c", depends_on=["b"]), step("b"), step("a"), step("d", depends_on=["a"]))
    assert [part.id for part in plan(task_type, START).subtasks] == ["b", "a", "c", "d"]


def test_deadlines_count_from_the_start_and_never_pass_the_sla(make, step):
    task_type = make(step("a", deadline=timedelta(minutes=3)), step("b"), step("c", deadline=timedelta(days=1)))
    assert [part.deadline_at - START for part in plan(task_type, START).subtasks] == [
        timedelta(minutes=3),
        timedelta(minutes=15),
        timedelta(minutes=15),
    ]


def test_carries_what_the_subtask_says(make, step):
    spec = step("b", depends_on=["a"], when="a.action != decline", required=False, panel=["bob"])
    planned = PLANNERS["template"](make(step("a"), spec), START).subtasks[1]
    assert (planned.when, planned.required, planned.panel) == ("a.action != decline", False, ("bob",))


def test_a_cycle_is_refused(make, step):
    with pytest.raises(CycleError):
        plan(make(step("a", depends_on=["b"]), step("b", depends_on=["a"])), START)
