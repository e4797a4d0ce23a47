from datetime import UTC, datetime

import pytest

from domain.plan import Plan, PlannedSubtask
from domain.task import SubtaskStatus as S
from planning.schedule import advance


def plan(*rows):
    return Plan(
        planner="template",
        subtasks=tuple(
            PlannedSubtask(
                id=name,
                panel=("ann",),
                depends_on=tuple(depends_on),
                when=when,
                required=True,
                deadline_at=datetime(2030, 1, 1, tzinfo=UTC),
            )
            for name, depends_on, when in rows
        ),
    )


DIAMOND = plan(("a", "", None), ("b", "a", "a.action == go"), ("c", "a", None), ("d", "bc", None), ("e", "", None))


def test_what_depends_on_nothing_starts():
    step = advance(DIAMOND, {}, {})
    assert (step.ready, step.skip) == (("a", "e"), ())


def test_what_runs_or_has_ended_is_not_started_again():
    step = advance(DIAMOND, {"a": S.RUNNING, "e": S.PARKED}, {})
    assert (step.ready, step.skip) == ((), ())


def test_dependents_start_when_all_is_done():
    statuses = {"a": S.DONE, "b": S.DONE, "c": S.RUNNING, "e": S.DONE}
    assert advance(DIAMOND, statuses, {"a": "go"}).ready == ()
    assert advance(DIAMOND, {**statuses, "c": S.DONE}, {"a": "go"}).ready == ("d",)


def test_a_condition_that_does_not_hold_skips_it_and_all_behind_it():
    step = advance(DIAMOND, {"a": S.DONE, "e": S.DONE}, {"a": "stop"})
    assert (step.ready, step.skip) == (("c",), ("b", "d"))


@pytest.mark.parametrize("end", [S.DENIED, S.FAILED, S.SKIPPED])
def test_a_dependency_that_did_not_end_well_skips_the_rest_at_once(end):
    step = advance(DIAMOND, {"a": S.DONE, "b": S.RUNNING, "c": end}, {"a": "go"})
    assert (step.ready, step.skip) == (("e",), ("d",))


def test_independent_of_declaration_order():
    step = advance(plan(("z", "y", None), ("y", "x", None), ("x", "", None)), {"x": S.FAILED}, {})
    assert (step.ready, step.skip) == ((), ("z", "y"))
