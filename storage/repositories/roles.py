"""Who holds which role: grants and revocations, each an entry of an audit chain of their own."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.audit import ROLES_CHAIN, text_hash
from domain.canonical import canonical_json
from storage.approval_tables import role_grants
from storage.repositories.listing import Row, rows

# Whoever grants or revokes looks first at what stands.
_LOCK = text("SELECT pg_advisory_xact_lock(hashtext('parley:roles'))")
_GRANT = text(
    "INSERT INTO role_grants (principal, role, granted_by, reason) VALUES (:principal, :role, :by, :reason) "
    "ON CONFLICT (principal, role) WHERE revoked_at IS NULL DO NOTHING RETURNING id"
)
_REVOKE = text(
    "UPDATE role_grants SET revoked_by = :by, revoke_reason = :reason, revoked_at = clock_timestamp() "
    "WHERE principal = :principal AND role = :role AND revoked_at IS NULL RETURNING id"
)
_HELD = text(
    "SELECT role, array_agg(principal ORDER BY principal) FROM role_grants WHERE revoked_at IS NULL GROUP BY role"
)
_APPEND = text("SELECT parley_audit_append(:chain, 0, :actor, CAST(:entries AS jsonb), NULL)")


async def lock_roles(connection: AsyncConnection) -> None:
    """Hold everybody else back from changing roles until the transaction ends."""
    await connection.execute(_LOCK)


async def grant(connection: AsyncConnection, principal: str, role: str, by: str, reason: str) -> bool:
    """Give the role; False where it is held already."""
    return await _change(connection, _GRANT, "granted", principal, role, by, reason)


async def revoke(connection: AsyncConnection, principal: str, role: str, by: str, reason: str) -> bool:
    """Take the role away; False where it was not held."""
    return await _change(connection, _REVOKE, "revoked", principal, role, by, reason)


async def _change(
    connection: AsyncConnection, statement: Any, what: str, principal: str, role: str, by: str, reason: str
) -> bool:
    given = {"principal": principal, "role": role, "by": by, "reason": reason}
    changed = await connection.scalar(statement, given)
    if changed is None:
        return False
    told = _event(int(changed), what, **given)
    entry = {
        "event": told["event"],
        "key": told["key"],
        "body_hash": text_hash(canonical_json(told["data"])),
        "body": None,
    }
    await connection.execute(_APPEND, {"chain": ROLES_CHAIN, "actor": by, "entries": json.dumps([entry])})
    return True


def _event(grant_id: int, what: str, **data: str) -> dict[str, Any]:
    """As the chain has it."""
    return {"key": f"role:{grant_id}:{what}", "event": f"role.{what}", "subtask_id": None, "fence": 0, "data": data}


async def role_events(connection: AsyncConnection) -> list[dict[str, Any]]:
    """What the chain of roles speaks for."""
    found = []
    for row in (await connection.execute(select(role_grants).order_by(role_grants.c.id))).mappings():
        found.append(_told(row, "granted", "granted_by", "reason"))
        if row["revoked_at"] is not None:
            found.append(_told(row, "revoked", "revoked_by", "revoke_reason"))
    return found


def _told(row: RowMapping, what: str, by: str, reason: str) -> dict[str, Any]:
    return _event(row["id"], what, principal=row["principal"], role=row["role"], by=row[by], reason=row[reason])


async def holders(connection: AsyncConnection) -> dict[str, list[str]]:
    """Role -> who holds it; a role that nobody holds is not among them."""
    return {role: names for role, names in await connection.execute(_HELD)}


async def list_grants(connection: AsyncConnection, *, all_of_them: bool) -> Sequence[Row]:
    """The grants that stand, or all that were ever made."""
    query = select(role_grants).order_by(role_grants.c.role, role_grants.c.principal, role_grants.c.id)
    return await rows(connection, query if all_of_them else query.where(role_grants.c.revoked_at.is_(None)))
