"""Handing in work: submit and run."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from control_plane.cli.options import As, Json
from control_plane.cli.output import as_text, emit_json, note, say
from control_plane.cli.session import catalog, enter_stack, principal, settings, with_engine
from domain.task import Lane

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from catalog.cases import BadLine
    from control_plane.services.batches import BatchRequest, BatchResult

Type = Annotated[str, typer.Argument(metavar="TYPE", help="A task type of the catalog.")]
Priority = Annotated[
    int, typer.Option(min=-100, max=100, help="Goes ahead of what was submitted up to 10 minutes earlier, for each 1.")
]
Seed = Annotated[int, typer.Option(help="Seed of everything that draws lots.")]


def submit(
    task_type: Type,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A JSON document; - for stdin.")],
    idempotency_key: Annotated[str | None, typer.Option(help="Submitting again with it gives the same task.")] = None,
    lane: Annotated[Lane, typer.Option(help="traced: every stage is seen in Prefect. direct: fast.")] = Lane.TRACED,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it has ended or waits for a person.")] = False,
    priority: Priority = 0,
    seed: Seed = 0,
    as_: As = None,
    as_json: Json = False,
) -> int:
    """Submit one task. With --wait, exit code 1 says that it failed, expired or was cancelled.

    Example: parley submit credit_review application.json --wait
    """
    import sys

    from control_plane.services import submission
    from control_plane.services.documents import read_document
    from orchestration.submission import Submitted, submit_task

    kind, payload, who = catalog(settings()).task_type(task_type), read_document(file, sys.stdin.buffer), principal(as_)

    async def hand_in(engine: "AsyncEngine") -> tuple[Submitted, dict[str, Any] | None]:
        made = await submit_task(
            engine,
            kind,
            payload,
            principal=who,
            lane=lane,
            seed=seed,
            priority=priority,
            idempotency_key=idempotency_key,
        )
        if not wait:
            return made, None
        await _check_worker(engine)
        return made, await submission.wait(engine, made.task_id)

    made, row = with_engine(hand_in)
    if as_json:
        ended = {name: row[name] for name in ("status", "answer", "reason", "summary")} if row else {}
        emit_json({"task_id": made.task_id, "existed": made.existed, **ended})
    else:
        say(f"task {made.task_id}" + (" (submitted before)" if made.existed else ""))
        if row is not None:
            how = as_text(row["answer"] or row["reason"] or "no answer")
            say(f"{row['status']}: {how}: parley explain {made.task_id}")
    return 1 if row is not None and row["status"] in submission.FAILED else 0


def run(
    task_type: Type,
    cases: Annotated[Path, typer.Argument(metavar="CASES", help="A CSV or JSON-lines file.")],
    limit: Annotated[int | None, typer.Option(min=1, help="How many cases at most.")] = None,
    offset: Annotated[int, typer.Option(min=0, help="How many cases to pass over first.")] = 0,
    lane: Annotated[Lane, typer.Option(help="direct: fast. traced: every stage is seen in Prefect.")] = Lane.DIRECT,
    resume: Annotated[str | None, typer.Option(metavar="BATCH", help="Go on with a batch that was broken off.")] = None,
    priority: Priority = 0,
    seed: Seed = 0,
    as_: As = None,
    as_json: Json = False,
) -> None:
    """Run a batch of cases until every task has ended or waits for a person. Lines that cannot be used are listed.

    Example: parley run credit_review pilots/credit_review/data/applications.csv --limit 100
    """
    from catalog.cases import read_cases
    from control_plane.services.batches import BatchRequest, resumed
    from domain.errors import CaseFileError

    kind = catalog(settings()).task_type(task_type)
    file = read_cases(kind, cases, offset, limit)
    for line in file.bad:
        note(f"line {line.line}: {line.problem}")
    if not file.cases:
        why = f"; first, line {file.bad[0].line}: {file.bad[0].problem}" if file.bad else ""
        raise CaseFileError(f"{cases}: no line can be used ({len(file.bad)} bad{why}): see `parley run --help`")
    enter_stack(quiet=True)
    request = BatchRequest(task_type, cases.resolve(), lane, principal(as_), limit, offset, seed, priority)
    if resume is not None:
        request = with_engine(lambda engine: resumed(engine, request, resume))
    result = follow_batch(request, len(file.cases), task_type)
    _report(result, file.bad, as_json)


def follow_batch(request: "BatchRequest", total: int, label: str) -> "BatchResult":
    """Run the batch under a progress bar; broken off, say how to go on."""
    from control_plane.cli.progress import batch_bar
    from control_plane.services.batches import run_batch

    try:
        with_engine(_check_worker)
        with batch_bar(label, total) as follow:
            return with_engine(lambda engine: run_batch(engine, request, follow))
    except KeyboardInterrupt:
        part = f" --offset {request.offset}" + (f" --limit {request.limit}" if request.limit else "")
        note(f"go on with: parley run {request.task_type} {request.cases}{part} --resume {request.batch_id}")
        raise


async def _check_worker(engine: "AsyncEngine") -> None:
    from control_plane.services.submission import anybody_works

    if not await anybody_works(engine, settings().lease_seconds):
        note("no worker runs, so this waits until one does: start one with `parley worker` or `parley up`")


def _report(result: "BatchResult", bad: "tuple[BadLine, ...]", as_json: bool) -> None:
    if as_json:
        lines = [{"line": line.line, "problem": line.problem} for line in bad]
        emit_json({"batch_id": result.batch_id, "tasks": result.tasks, "counts": dict(result.counts), "bad": lines})
        return
    say(f"batch {result.batch_id}: {result.tasks} tasks: {spelled(result.counts)}; {len(bad)} bad lines")
    say(f"list them with: parley tasks --batch {result.batch_id}")


def spelled(counts: Mapping[str, int]) -> str:
    """Counts as words, the largest first."""
    return ", ".join(f"{number} {status}" for status, number in sorted(counts.items(), key=lambda item: -item[1]))


COMMANDS = (submit, run)
