"""What Prefect and the folders of the stack hold of a person: artifacts, runs with their logs, results, reports."""

import asyncio
import json
import os
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from domain.errors import StackError
from domain.quotes import Quotes

_PAGE = 200
_WRITTEN_SECONDS = 60.0
"""The server writes its events every five seconds, or later on a busy machine."""
_REPORTS = (".html", ".json", ".md", ".csv", ".txt", ".log")


async def erase_from_prefect(task_ids: Sequence[str], *, dry_run: bool) -> dict[str, int]:
    """Delete the tasks' artifacts, and their runs and rounds with what these logged. Raises StackError when away."""
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey, FlowRunFilter, FlowRunFilterName

    artifacts = runs = 0
    try:
        async with get_client() as client:
            for task_id in task_ids:
                key = ArtifactFilterKey(like_=f"decision-{task_id}-%")
                shown = await client.read_artifacts(artifact_filter=ArtifactFilter(key=key), limit=_PAGE)
                artifacts += len(shown)
                held = await client.read_flow_runs(
                    flow_run_filter=FlowRunFilter(name=FlowRunFilterName(like_=task_id)), limit=_PAGE
                )
                runs += len(held)
                if not dry_run:
                    for artifact in shown:
                        await client.delete_artifact(artifact.id)
                    for run in held:
                        await client.delete_flow_run(run.id)
    except httpx.HTTPError as problem:
        raise StackError(f"Prefect: {type(problem).__name__}: its artifacts must go too: see `parley status`") from None
    return {"Prefect artifacts": artifacts, "Prefect runs": runs}


async def erase_from_prefect_events(dsn: str, task_ids: Sequence[str], quotes: Quotes, *, dry_run: bool) -> int:
    """Prefect repeats an artifact in an event and offers no call to remove it: done in the database of our own server.

    Raises StackError where that cannot be reached.
    """
    import psycopg

    if not dry_run:
        await _wait_until_written(dsn)
    wanted = [*quotes.variants(), *(f"decision-{one}-" for one in task_ids)]
    quoting = "EXISTS (SELECT FROM unnest(%s::text[]) one WHERE position(one IN payload::text) > 0)"
    # The payload is JSON: what stands in a text of it is escaped once more.
    wanted += [json.dumps(one)[1:-1] for one in wanted]
    try:
        async with await psycopg.AsyncConnection.connect(dsn) as connection:
            found = [
                row[0]
                for row in await (
                    await connection.execute(f"SELECT id FROM events WHERE {quoting}", (wanted,))
                ).fetchall()
            ]
            if not dry_run:
                await connection.execute("DELETE FROM event_resources WHERE event_id = ANY(%s)", (found,))
                await connection.execute("DELETE FROM events WHERE id = ANY(%s)", (found,))
    except psycopg.Error as problem:
        raise StackError(f"Prefect's database: {problem}: see `parley status`") from None
    return len(found)


async def _wait_until_written(dsn: str) -> None:
    """Until the Prefect server has written what it still held: it does so in order, so an event of ours is behind it.

    Raises StackError where that takes too long.
    """
    import httpx
    import psycopg
    from prefect.client.orchestration import get_client

    marker = uuid.uuid4()
    event = {
        "id": str(marker),
        "occurred": datetime.now(UTC).isoformat(),
        "event": "parley.erasure",
        "resource": {"prefect.resource.id": f"parley.erasure.{marker}"},
    }
    try:
        async with get_client() as client:
            await client.request("POST", "/events", json=[event])
        async with (
            asyncio.timeout(_WRITTEN_SECONDS),
            await psycopg.AsyncConnection.connect(dsn, autocommit=True) as here,
        ):
            while not await (await here.execute("SELECT 1 FROM events WHERE id = %s", (marker,))).fetchone():
                await asyncio.sleep(0.2)
    except (TimeoutError, httpx.HTTPError, psycopg.Error) as problem:
        told = "its events could not be waited for, and may name the person: erase again"
        raise StackError(f"Prefect: {type(problem).__name__}: {told}") from None


def erase_from_files(
    home: Path, results: Path, task_ids: Sequence[str], quotes: Quotes, *, dry_run: bool
) -> dict[str, int]:
    """Remove stored results that name a task or quote the person; take quotes out of reports and logs."""
    named = Quotes(quotes.strings | {*task_ids})
    removed = changed = 0
    for path in _files(results):
        if any(one in path.name for one in task_ids) or named.hidden_in(path.read_bytes()):
            removed += 1
            if not dry_run:
                path.unlink(missing_ok=True)
    for folder in (home / "reports", home / "logs"):
        for path in _files(folder):
            raw = path.read_bytes()
            if path.suffix in _REPORTS and quotes.found_in(raw):
                changed += 1
                if not dry_run:
                    _write(path, quotes.out_of(raw.decode("utf-8", "surrogateescape")))
    return {"stored results": removed, "reports and logs": changed}


def _files(folder: Path) -> Iterator[Path]:
    yield from (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())


def _write(path: Path, text: str) -> None:
    if path.suffix == ".log":
        # Somebody is writing it: the same file, cut and written anew.
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        return
    descriptor, draft = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode("utf-8", "surrogateescape"))
    Path(draft).replace(path)
