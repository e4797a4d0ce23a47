"""What Prefect holds of a person: artifacts, runs with their logs, and the events that repeat them."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from domain.errors import StackError
from domain.quotes import Quotes

if TYPE_CHECKING:
    import psycopg
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import Artifact

_PAGE = 200
_WRITTEN_SECONDS = 60.0
"""The server writes its events every five seconds, or later on a busy machine."""
_SHOWN = (
    *(("artifact", "data"), ("artifact", "description")),
    *(("artifact_collection", "data"), ("artifact_collection", "description")),
    *(("log", "message"), ("flow_run_state", "message"), ("task_run_state", "message")),
)
"""Where the server keeps what other runs showed, such as a batch's bad lines, and what they logged."""


async def erase_from_prefect(task_ids: Sequence[str], quotes: Quotes, *, dry_run: bool) -> dict[str, int]:
    """Delete the tasks' artifacts, and their runs and rounds with what these logged; take the quotes out of every other
    artifact. Raises StackError when away.
    """
    import httpx
    from prefect.client.orchestration import get_client

    artifacts = runs = others = 0
    try:
        async with get_client() as client:
            for task_id in task_ids:
                artifacts += await _delete_artifacts(client, task_id, dry_run=dry_run)
                runs += await _delete_runs(client, task_id, dry_run=dry_run)
            async for artifact in _quoting(client, task_ids, quotes):
                others += 1
                if not dry_run:
                    # The client's own call would repeat the artifact in an event.
                    left = {"data": quotes.taken_out(artifact.data)}
                    path = {"id": artifact.id}
                    await client.request("PATCH", "/artifacts/{id}", path_params=path, json=left)
    except httpx.HTTPError as problem:
        raise StackError(f"Prefect: {type(problem).__name__}: its artifacts must go too: see `parley status`") from None
    return {"Prefect artifacts": artifacts, "Prefect runs": runs, "Prefect artifacts of others": others}


async def _delete_artifacts(client: "PrefectClient", task_id: str, *, dry_run: bool) -> int:
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

    key = ArtifactFilterKey(like_=f"decision-{task_id}-%")
    shown = await client.read_artifacts(artifact_filter=ArtifactFilter(key=key), limit=_PAGE)
    for artifact in shown if not dry_run else ():
        await client.delete_artifact(artifact.id)
    return len(shown)


async def _delete_runs(client: "PrefectClient", task_id: str, *, dry_run: bool) -> int:
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName

    wanted = FlowRunFilter(name=FlowRunFilterName(like_=task_id))
    held = await client.read_flow_runs(flow_run_filter=wanted, limit=_PAGE)
    for run in held if not dry_run else ():
        await client.delete_flow_run(run.id)
    return len(held)


async def _quoting(client: "PrefectClient", task_ids: Sequence[str], quotes: Quotes) -> AsyncIterator["Artifact"]:
    """The artifacts that are none of the tasks' own and quote the person, those of batches among them."""
    own = tuple(f"decision-{one}-" for one in task_ids)
    offset = 0
    while quotes:
        page = await client.read_artifacts(limit=_PAGE, offset=offset)
        for artifact in page:
            theirs = artifact.key is not None and artifact.key.startswith(own)
            if not theirs and quotes.taken_out(artifact.data) != artifact.data:
                yield artifact
        if len(page) < _PAGE:
            return
        offset += _PAGE


async def erase_from_own_server(dsn: str, task_ids: Sequence[str], quotes: Quotes, *, dry_run: bool) -> dict[str, int]:
    """Prefect repeats an artifact in an event, and keeps what runs log: it offers no call to remove either, so that is
    done in the database of our own server. Raises StackError where that cannot be reached.
    """
    import psycopg

    if not dry_run:
        await _wait_until_written(dsn)
    try:
        async with await psycopg.AsyncConnection.connect(dsn) as connection:
            events = await _quoting_events(connection, task_ids, quotes)
            if not dry_run:
                await connection.execute("DELETE FROM event_resources WHERE event_id = ANY(%s)", (events,))
                await connection.execute("DELETE FROM events WHERE id = ANY(%s)", (events,))
            shown = [await _take_out(connection, *place, quotes, dry_run=dry_run) for place in _SHOWN]
    except psycopg.Error as problem:
        raise StackError(f"Prefect's database: {problem}: see `parley status`") from None
    return {"Prefect events": len(events), "Prefect logs and states": sum(shown)}


async def _quoting_events(
    connection: "psycopg.AsyncConnection[Any]", task_ids: Sequence[str], quotes: Quotes
) -> list[Any]:
    keys = [f"decision-{one}-" for one in task_ids]
    wanted = [*quotes.variants(), *keys]
    # The payload is JSON: what stands in a text of it is escaped once more.
    wanted += [json.dumps(one)[1:-1] for one in wanted]
    holding = "EXISTS (SELECT FROM unnest(%s::text[]) one WHERE position(one IN payload::text) > 0)"
    rows = await (await connection.execute(f"SELECT id, payload FROM events WHERE {holding}", (wanted,))).fetchall()
    found = []
    for event_id, payload in rows:
        told = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
        if any(key in told for key in keys) or quotes.quoted_in(told) or quotes.taken_out(payload) != payload:
            found.append(event_id)
    return found


async def _take_out(
    connection: "psycopg.AsyncConnection[Any]", table: str, column: str, quotes: Quotes, *, dry_run: bool
) -> int:
    """Rewrite the texts of one column that quote the person; how many did."""
    wanted = [*quotes.variants()]
    wanted += [json.dumps(one)[1:-1] for one in wanted]
    holding = f'EXISTS (SELECT FROM unnest(%s::text[]) one WHERE position(one IN "{column}"::text) > 0)'
    found = await connection.execute(f'SELECT id, "{column}" FROM "{table}" WHERE {holding}', (wanted,))  # type: ignore[arg-type]
    changed = 0
    for row_id, was in await found.fetchall():
        left = quotes.taken_out(was)
        if left == was:
            continue
        changed += 1
        if not dry_run:
            # As JSON in `data`; everything else is text.
            given = json.dumps(left) if column == "data" else left
            await connection.execute(f'UPDATE "{table}" SET "{column}" = %s WHERE id = %s', (given, row_id))  # type: ignore[arg-type]
    return changed


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
