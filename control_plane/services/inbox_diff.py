"""What has changed since a request was made: as it was shown, beside as it would be shown now."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from catalog.load import Catalog
from control_plane.services.erased import refuse_erased
from control_plane.services.inbox_reading import find_approval
from control_plane.services.listing import unknown_task
from domain.approval import QUESTIONS
from domain.canonical import digest
from domain.errors import InputError
from domain.model import Frozen
from storage.repositories import listing
from storage.repositories.listing import Row
from storage.repositories.negotiation import load_decision
from tasks.bindings import CARRIED, shown_now
from tasks.settle import shown_of


class Change(Frozen):
    """One field that differs."""

    field: str
    shown: Any = None
    now: Any = None


class Diff(Frozen):
    """A request beside what it would be now."""

    approval: str
    task_id: str
    subtask_id: str
    digest: str
    digest_now: str
    changes: tuple[Change, ...]

    @property
    def same(self) -> bool:
        """Whether an answer given to it still stands for what is true now."""
        return self.digest == self.digest_now


async def diff(engine: AsyncEngine, catalog: Catalog, given_id: str) -> Diff:
    """Field by field. Raises NotFound, InputError."""
    async with engine.connect() as connection:
        asked = await find_approval(connection, given_id)
        task = await listing.task(connection, asked["task_id"])
        if task is None:
            raise unknown_task(asked["task_id"])
        refuse_erased(task)
        now = await _now(connection, catalog, asked, task)
    was = asked["shown"]
    changes = tuple(
        Change(field=name, shown=was.get(name), now=now.get(name))
        for name in sorted({*was, *now})
        if digest(was.get(name)) != digest(now.get(name))
    )
    return Diff(
        approval=asked["id"],
        task_id=task["id"],
        subtask_id=asked["subtask_id"],
        digest=asked["digest"],
        digest_now=digest(now),
        changes=changes,
    )


async def _now(connection: AsyncConnection, catalog: Catalog, asked: Row, task: Row) -> dict[str, Any]:
    kind = catalog.task_type(task["task_type"])
    if asked["cause"] in QUESTIONS:
        # Why it is asked was said once; it is no state that could change.
        found = await shown_of(
            connection, task["id"], asked["subtask_id"], asked["cause"], asked["shown"].get("reason", "")
        )
        return {**found, "asks": kind.asks.model_copy(update={"quorum": 1, "of": 1}).shown()}
    try:
        spec = kind.subtask(asked["subtask_id"])
    except KeyError:
        raise InputError(f"{kind.name} has no subtask {asked['subtask_id']} any more") from None
    decision = await load_decision(connection, task["id"], spec.id)
    carried = {name: asked["shown"][name] for name in CARRIED if name in asked["shown"]}
    policy_hash = catalog.gate(kind.name).policy_hash
    return shown_now(kind, task["payload"], policy_hash, spec, decision, asked["cause"], carried)
