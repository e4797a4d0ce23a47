"""Claims by priority and age, and types of which only so many tasks run at once, over all workers."""

import asyncio
import itertools

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.task import Lane
from storage.engine import async_engine
from storage.leases import PRIORITY_SECONDS, Claim, claim, claim_one, release

CLAIMERS, MOST = 50, 3
_INSERT = text(
    "INSERT INTO tasks (id, task_type, type_version, payload, request_hash, principal, lane, status, seed, "
    "memory_as_of, deadline_at, priority, created_at) "
    "VALUES (:id, :type, 1, '{}', '', 'ann', 'direct', 'submitted', 0, "
    "now(), now() + interval '1 hour', :priority, now() - make_interval(secs => :age))"
)
_HELD = text(
    "SELECT count(*) FROM tasks WHERE task_type = 'narrow' AND lease_owner IS NOT NULL AND lease_until >= now()"
)


async def _tasks(engine: AsyncEngine, *rows: tuple[str, str, int, float]) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM tasks"))
        names = ("id", "type", "priority", "age")
        await connection.execute(_INSERT, [dict(zip(names, row, strict=True)) for row in rows])


async def _claim(engine: AsyncEngine, limit: int, **limits: int) -> list[str]:
    claims = await claim(engine, "w", seconds=30, limit=limit, lanes=[Lane.DIRECT], limits=limits)
    return [one.lease.task_id for one in claims]


@pytest.mark.parametrize("limits", [{}, {"other": 1}])
async def test_priority_goes_first_until_age_outweighs_it(engine: AsyncEngine, limits: dict[str, int]) -> None:
    point = PRIORITY_SECONDS
    rows = [("old", "wide", 0, point * 1.5), ("new", "wide", 0, 0), ("urgent", "wide", 1, 0), ("late", "wide", -1, 0)]
    await _tasks(engine, *rows)
    order = [(await _claim(engine, 1, **limits))[0] for _ in rows]
    assert order == ["old", "urgent", "new", "late"]
    await _tasks(engine, *rows)
    assert sorted(await _claim(engine, 2, **limits)) == ["old", "urgent"]


async def test_a_flood_of_urgent_tasks_starves_nobody(engine: AsyncEngine) -> None:
    """Every ten seconds come urgent tasks, more than are claimed; the old one has its turn when its time is over."""
    await _tasks(engine, ("patient", "wide", 0, 0))
    step, taken = 10, list[str]()
    for number in range(1, 200):
        async with engine.begin() as connection:
            await connection.execute(text(f"UPDATE tasks SET created_at = created_at - interval '{step} seconds'"))
            rows = [{"id": f"u{number}-{n}", "type": "wide", "priority": 1, "age": 0} for n in range(2)]
            await connection.execute(_INSERT, rows)
        taken += await _claim(engine, 1)
        if "patient" in taken:
            break
    # Two come for one that is claimed: what waits ahead of it came within one point's worth of time behind it.
    assert taken[-1] == "patient"
    assert PRIORITY_SECONDS / step <= number <= 2 * PRIORITY_SECONDS / step + 2


async def test_a_limit_is_kept_and_others_go_on(engine: AsyncEngine) -> None:
    await _tasks(engine, *((f"n{i}", "narrow", 5, 0) for i in range(6)), *((f"w{i}", "wide", 0, 0) for i in range(4)))
    first = await _claim(engine, 8, narrow=MOST)
    assert sum(one.startswith("n") for one in first) == MOST
    assert sum(one.startswith("w") for one in first) == 4
    assert await _claim(engine, 8, narrow=MOST) == []
    left = next(f"n{i}" for i in range(6) if f"n{i}" not in first)
    assert await claim_one(engine, "w", left, seconds=30, limits={"narrow": MOST}) is None
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE tasks SET lease_until = now() - interval '1 second' WHERE id = :id"), {"id": first[0]}
        )
    # A lease that ran out holds nothing.
    assert await claim_one(engine, "w", left, seconds=30, limits={"narrow": MOST}) is not None
    assert await _claim(engine, 8, narrow=MOST) == []


async def test_fifty_claimers_never_hold_one_too_many(dsn: str, engine: AsyncEngine) -> None:
    await _tasks(engine, *((f"n{i}", "narrow", i % 3, i) for i in range(120)))
    wide = async_engine(dsn, size=CLAIMERS)
    held, seen, highest, fences = set[str](), list[int](), 0, list[tuple[str, int]]()
    tasks = itertools.cycle(f"n{i}" for i in range(120))

    async def take(number: int) -> Claim | None:
        if number % 5 == 0:
            return await claim_one(wide, f"w{number}", next(tasks), seconds=30, limits={"narrow": MOST})
        claims = await claim(wide, f"w{number}", seconds=30, limit=2, lanes=[Lane.DIRECT], limits={"narrow": MOST})
        for extra in claims[1:]:
            fences.append((extra.lease.task_id, extra.lease.fence))
            await release(wide, extra.lease)
        return claims[0] if claims else None

    async def claimer(number: int) -> None:
        nonlocal highest
        for _ in range(6):
            one = await take(number)
            if one is None:
                await asyncio.sleep(0.01)
                continue
            fences.append((one.lease.task_id, one.lease.fence))
            held.add(f"{one.lease.task_id}/{one.lease.fence}")
            highest = max(highest, len(held))
            await asyncio.sleep(0.01)
            held.discard(f"{one.lease.task_id}/{one.lease.fence}")
            await release(wide, one.lease)

    async def watch() -> None:
        while True:
            async with engine.connect() as connection:
                seen.append(int(await connection.scalar(_HELD) or 0))
            await asyncio.sleep(0.002)

    watcher = asyncio.create_task(watch())
    try:
        await asyncio.gather(*(claimer(number) for number in range(CLAIMERS)))
    finally:
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)
        await wide.dispose()
    assert max(seen) == MOST
    assert highest <= MOST
    assert len(fences) == len(set(fences)) > CLAIMERS


async def test_many_claimers_without_a_limit_share_the_queue(dsn: str, engine: AsyncEngine) -> None:
    await _tasks(engine, *((f"w{i}", "wide", i % 2, i) for i in range(200)))
    wide = async_engine(dsn, size=20)
    claimed = await asyncio.gather(
        *(claim(wide, f"w{i}", seconds=30, limit=10, lanes=[Lane.DIRECT]) for i in range(20))
    )
    await wide.dispose()
    ids = [one.lease.task_id for claims in claimed for one in claims]
    assert len(ids) == len(set(ids)) > 100
