"""Who holds which role: granted, revoked and listed; each change names who made it and why."""

from collections.abc import Collection, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from catalog.load import Catalog
from control_plane.services.reasons import bounded
from domain.asking import ROLES
from domain.errors import InputError, RoleRefused
from domain.model import Frozen
from storage.repositories import roles
from storage.repositories.listing import Row

ADMIN = "admin"
MAX_NAME = 200


class RoleChange(Frozen):
    """What became of the request."""

    principal: str
    role: str
    changed: bool
    """False where it stood so already."""
    by: str
    note: str | None = None
    """That nobody is an admin, so that anybody may grant."""


def known_roles(catalog: Catalog) -> frozenset[str]:
    """The platform's own, and every role that a task type or a policy names."""
    found = set(ROLES)
    for name in catalog.names():
        found.update(catalog.task_type(name).asks.roles)
        policies = catalog.gate(name).policies.by_id.values()
        found.update(policy.override for policy in policies if policy.override is not None)
    return frozenset(found)


async def grant(
    engine: AsyncEngine, known: Collection[str], principal: str, role: str, *, by: str, reason: str
) -> RoleChange:
    """Give the role. Raises InputError for a role that nothing knows, RoleRefused where `by` may not."""
    if role not in known:
        raise InputError(f"{role}: no such role: one of {', '.join(sorted(known))}, or name it in a task type first")
    _check(principal, reason)
    async with engine.begin() as connection:
        note = await _may_change(connection, by)
        changed = await roles.grant(connection, principal, role, by, reason)
    return RoleChange(principal=principal, role=role, changed=changed, by=by, note=note)


async def revoke(engine: AsyncEngine, principal: str, role: str, *, by: str, reason: str) -> RoleChange:
    """Take the role away. Raises RoleRefused where `by` may not, or nobody would be an admin any more."""
    _check(principal, reason)
    async with engine.begin() as connection:
        note = await _may_change(connection, by)
        if role == ADMIN and (await roles.holders(connection)).get(ADMIN) == [principal]:
            raise RoleRefused(f"{principal} is the only admin: grant it to another first")
        changed = await roles.revoke(connection, principal, role, by, reason)
    return RoleChange(principal=principal, role=role, changed=changed, by=by, note=note)


def _check(principal: str, reason: str) -> None:
    if not principal.strip() or len(principal) > MAX_NAME or not principal.isprintable():
        raise InputError(f"NAME: give a name of 1 to {MAX_NAME} printable characters")
    if not reason.strip():
        raise InputError("--reason is empty: say why, it is kept with the role")
    bounded(reason)


async def _may_change(connection: AsyncConnection, by: str) -> str | None:
    """Once somebody is an admin, only admins change roles. Nobody else does so until the transaction ends."""
    await roles.lock_roles(connection)
    admins = (await roles.holders(connection)).get(ADMIN)
    if admins and by not in admins:
        raise RoleRefused(f"{by} is no admin: {', '.join(admins)} can change roles")
    return None if admins else "nobody is an admin, so anybody may change roles: parley role grant NAME admin"


async def list_roles(engine: AsyncEngine, *, all_of_them: bool) -> Sequence[Row]:
    """The grants that stand, or all that were ever made."""
    async with engine.connect() as connection:
        return await roles.list_grants(connection, all_of_them=all_of_them)
