"""The command demo: the sample pilot through the whole lifecycle, before and after it is calibrated."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from control_plane.cli.demo_words import show_calibration, show_end, show_period, show_second
from control_plane.cli.options import Json
from control_plane.cli.output import emit_json, note, say
from control_plane.cli.session import catalog, enter_stack, settings, with_engine
from control_plane.cli.submission import follow_batch
from domain.task import Lane

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from catalog.cases import CaseFile
    from control_plane.services.demo import DemoPeriod
    from domain.task_type import TaskType
    from tasks.calibration_words import Report

CASES = Path("credit_review/data/applications.csv")
_USED_UP = "every application of the sample was used"


@dataclass(frozen=True)
class _Sample:
    """The pilot's file, and the part of it that is this period's."""

    kind: "TaskType"
    path: Path
    file: "CaseFile"
    period: "DemoPeriod"


def demo(
    count: Annotated[int, typer.Option(min=1, help="How many applications on the direct lane, in each phase.")] = 300,
    traced: Annotated[int, typer.Option(min=0, help="How many more that Prefect shows stage by stage.")] = 5,
    as_json: Json = False,
) -> None:
    """Take the sample pilot through the whole lifecycle: start the stack, decide, record what came true, evaluate.

    Then the second phase: calibrate on all outcomes so far, activate that, decide the next applications by it, and
    say what every strategy would have made of the same proposals. Each demo goes on where the one before ended.
    Example: parley demo
    """
    _start()
    sample = _sample(count, traced)
    if sample is None:
        _ran_out(as_json)
        return
    shown = _period(sample)
    if not as_json:
        show_period(shown)
    shown["second_phase"] = _second(sample, count, as_json)
    shown |= _pointers([one["batch_id"] for one in shown["batches"]], Path(shown["evaluation"]["html"]).parent)
    if as_json:
        emit_json(shown)
        return
    show_end(shown)


def _start() -> None:
    from deployments.local import status, up

    given = settings()
    if not status(given).healthy:
        up(given, note)
    enter_stack(quiet=True)


def _sample(count: int, traced: int) -> _Sample | None:
    from catalog.cases import read_cases
    from control_plane.services import demo as service

    given = settings()
    kind = catalog(given).task_type(service.TASK_TYPE)
    path = (given.catalog / CASES).resolve()
    earlier = with_engine(lambda engine: service.earlier_batches(engine, path))
    file = read_cases(kind, path, service.next_offset(earlier), count + traced)
    period = service.next_period(earlier, count, traced, len(file.cases) + len(file.bad))
    return None if period is None else _Sample(kind, path, file, period)


def _ran_out(as_json: bool) -> None:
    text = f"{_USED_UP}: look with `parley tasks`, or `parley down` and a new PARLEY_STATE"
    if as_json:
        emit_json({"ran_out": True, "message": text})
        return
    say(text)


def _period(sample: _Sample) -> dict[str, Any]:
    """Decide the period's rows, record their outcomes, evaluate."""
    from control_plane.services.batches import BatchRequest
    from control_plane.services.demo import PRINCIPAL, in_force_now
    from control_plane.services.evaluation import evaluate_pilot

    period, name = sample.period, sample.kind.name
    strategy = with_engine(lambda engine: in_force_now(engine, sample.kind))
    first, last = period.offset + 1, period.offset + period.direct + period.traced
    note(f"period {period.number}: applications {first} to {last}, decided by {strategy}")
    parts = ((Lane.DIRECT, period.offset, period.direct), (Lane.TRACED, period.offset + period.direct, period.traced))
    results = [
        follow_batch(BatchRequest(name, sample.path, lane, PRINCIPAL, rows, offset), rows, f"{name} {lane.value}")
        for lane, offset, rows in parts
        if rows
    ]
    ids = [result.batch_id for result in results]
    recorded = _record(sample, ids)
    note(f"{recorded} outcomes recorded; evaluating")
    return {
        "period": period.number,
        "applications": [first, last],
        "decided_by": strategy,
        "batches": [{"batch_id": one.batch_id, "counts": dict(one.counts)} for one in results],
        "outcomes": recorded,
        "evaluation": evaluate_pilot(name, batch_ids=ids, reference_batch_ids=period.reference or None),
    }


def _record(sample: _Sample, ids: list[str]) -> int:
    """Record what came true for all of the period's tasks, parked ones too; how many that is."""
    from control_plane.services import demo as service
    from control_plane.services.outcomes import LabelledCase, record_cases

    cases = [LabelledCase(one.line, one.key, one.outcome) for one in sample.file.cases if one.outcome is not None]
    types = {sample.kind.name: sample.kind}
    return with_engine(lambda engine: record_cases(engine, types, cases, service.PRINCIPAL, ids)).tasks


def _second(first: _Sample, count: int, as_json: bool) -> dict[str, Any]:
    """Calibrate, activate, decide the next rows by it, and compare; or why not."""
    from control_plane.services.calibration import calibrate_panel
    from control_plane.services.second_phase import skipped

    sample = _sample(count, 0)
    if sample is None:
        return _skip(f"no second phase: {_USED_UP}", None, as_json)
    note("calibrating on all outcomes so far")
    report = with_engine(lambda _: calibrate_panel(first.kind.name))
    problem = skipped(report)
    if problem is not None:
        return _skip(problem, report, as_json)
    activated = _activate(first.kind)
    if not as_json:
        show_calibration(report)
    found = {"calibration": report, "activated": activated, **_period(sample)}
    note("every strategy decides the same proposals")
    found |= _compare(sample.kind, report, found)
    if not as_json:
        show_second(found)
    return found


def _skip(why: str, report: "Report | None", as_json: bool) -> dict[str, Any]:
    if not as_json:
        say(f"\n{why}")
    return {"skipped": why, "calibration": report}


def _activate(kind: "TaskType") -> Any:
    from control_plane.services.calibration import activate

    personas = catalog(settings()).personas(kind.name)
    return with_engine(lambda engine: activate(engine, kind, personas, None, "by parley demo"))


def _compare(kind: "TaskType", report: "Report", found: dict[str, Any]) -> dict[str, Any]:
    from control_plane.services.second_phase import against_first, look

    ids, calibration = [one["batch_id"] for one in found["batches"]], report.calibration
    if calibration is None:
        raise ValueError("a second phase has a calibration")
    looked = with_engine(lambda engine: look(engine, kind, ids, calibration))
    return {**looked, "against_first": against_first(found["evaluation"])}


def _pointers(ids: list[str], folder: Path) -> dict[str, Any]:
    """Where to look next: Prefect's pages, one explained decision, the inbox."""
    from control_plane.services import demo as service
    from control_plane.services import inbox, listing
    from control_plane.services.prefect_pages import pages

    async def look(engine: "AsyncEngine") -> dict[str, Any]:
        tasks = await service.tasks_of(engine, ids)
        chosen = service.worth_explaining(tasks)
        explained = None
        if chosen is not None:
            decisions = await listing.explain_task(engine, chosen["id"])
            path = service.write_explanation(folder, chosen["id"], decisions)
            explained = {"task_id": chosen["id"], "markdown": path}
        return {
            "prefect": await pages([row["id"] for row in tasks if row["lane"] == Lane.TRACED]),
            "explained": explained,
            "open_approvals": len(await inbox.open_approvals(engine)),
        }

    return with_engine(look)


COMMANDS = (demo,)
