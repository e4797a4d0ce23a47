"""The command demo: the sample pilot through the whole lifecycle."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from control_plane.cli.evaluation import report
from control_plane.cli.options import Json
from control_plane.cli.output import emit_json, note, say
from control_plane.cli.session import catalog, enter_stack, settings, with_engine
from control_plane.cli.submission import follow_batch, spelled
from domain.task import Lane

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from catalog.cases import CaseFile
    from control_plane.services.batches import BatchResult
    from control_plane.services.demo import DemoPeriod
    from domain.task_type import TaskType

CASES = Path("credit_review/data/applications.csv")


@dataclass(frozen=True)
class _Sample:
    """The pilot's file, and the part of it that is this demo's."""

    kind: "TaskType"
    path: Path
    file: "CaseFile"
    period: "DemoPeriod"


def demo(
    count: Annotated[int, typer.Option(min=1, help="How many applications on the direct lane.")] = 300,
    traced: Annotated[int, typer.Option(min=0, help="How many more that Prefect shows stage by stage.")] = 5,
    as_json: Json = False,
) -> None:
    """Take the sample pilot through the whole lifecycle: start the stack, decide, record what came true, evaluate.

    Each demo goes on where the one before ended, and compares itself with it. Example: parley demo
    """
    _start()
    sample = _sample(count, traced)
    if sample is None:
        _ran_out(as_json)
        return
    period = sample.period
    note(f"demo {period.number}: applications {period.offset + 1} to {period.offset + period.direct + period.traced}")
    results = _run(sample)
    shown = _look_back(sample, results)
    if as_json:
        emit_json(shown)
        return
    _print(shown)


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
    text = "every application of the sample was used: look with `parley tasks`, or `parley down` and a new PARLEY_STATE"
    if as_json:
        emit_json({"ran_out": True, "message": text})
        return
    say(text)


def _run(sample: _Sample) -> "list[BatchResult]":
    from control_plane.services.batches import BatchRequest
    from control_plane.services.demo import PRINCIPAL

    period, name = sample.period, sample.kind.name
    parts = ((Lane.DIRECT, period.offset, period.direct), (Lane.TRACED, period.offset + period.direct, period.traced))
    return [
        follow_batch(BatchRequest(name, sample.path, lane, PRINCIPAL, rows, offset), rows, f"{name} {lane.value}")
        for lane, offset, rows in parts
        if rows
    ]


def _look_back(sample: _Sample, results: "list[BatchResult]") -> dict[str, Any]:
    from control_plane.services.evaluation import evaluate_pilot

    ids = [result.batch_id for result in results]
    recorded = _record(sample, ids)
    found = evaluate_pilot(sample.kind.name, batch_ids=ids, reference_batch_ids=sample.period.reference or None)
    return {
        "demo": sample.period.number,
        "batches": [{"batch_id": one.batch_id, "counts": dict(one.counts)} for one in results],
        "outcomes": recorded,
        "evaluation": found,
        **_pointers(ids, Path(found["html"]).parent),
    }


def _record(sample: _Sample, ids: list[str]) -> int:
    """Record what came true for all of the demo's tasks, parked ones too; how many that is."""
    from control_plane.services import demo as service
    from control_plane.services.outcomes import LabelledCase, record_cases

    cases = [LabelledCase(one.line, one.key, one.outcome) for one in sample.file.cases if one.outcome is not None]
    types = {sample.kind.name: sample.kind}
    return with_engine(lambda engine: record_cases(engine, types, cases, service.PRINCIPAL, ids)).tasks


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


def _print(shown: dict[str, Any]) -> None:
    say("")
    for batch in shown["batches"]:
        say(f"batch {batch['batch_id']}: {spelled(batch['counts'])}")
    say(f"{shown['outcomes']} outcomes recorded\n")
    report(shown["evaluation"])
    if shown["prefect"]:
        say("\nstage by stage in Prefect:")
    for url in shown["prefect"].values():
        say(f"  {url}")
    if shown["explained"] is not None:
        say(f"\nwhy, for one of them: parley explain {shown['explained']['task_id']}")
        say(f"  {shown['explained']['markdown']}")
    say(f"waiting for a person: {shown['open_approvals']}: parley approvals")
    say("the stack stays up: parley down stops it")


COMMANDS = (demo,)
