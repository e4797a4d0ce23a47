"""Versions of a calibration, what stands, and the resolved tasks that the next one is made from."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.calibration import CalibrationStatus
from domain.errors import CalibrationRefused, CalibrationUnreadable, InputError, NotFound
from domain.proposal import Proposal
from storage import tables
from storage.engine import sync_engine
from storage.repositories import calibrations
from storage.repositories.resolved import resolved_cases
from tests.integration.calibrated_claims import calibration
from tests.integration.commands import LOAN, add_task

PLACE = ("claim", "payout")
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def database(dsn: str) -> Iterator[Connection]:
    engine = sync_engine(dsn)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection
        for table in (
            tables.calibrations,
            tables.proposals,
            tables.decisions,
            tables.outcomes,
            tables.memories,
            tables.tasks,
        ):
            connection.execute(table.delete())
    engine.dispose()


async def _statuses(engine: AsyncEngine) -> dict[int, str]:
    async with engine.connect() as connection:
        found = await calibrations.listing(connection, *PLACE)
    return {one.calibration.version: one.status.value for one in found}


@pytest.mark.usefixtures("database")
async def test_one_shadow_and_one_active_at_most(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        for version in (1, 2, 3):
            assert await calibrations.next_version(connection, *PLACE) == version
            await calibrations.store(connection, calibration(version))
        await calibrations.activate(connection, *PLACE, 3, "measured")
        await calibrations.store(connection, calibration(4))
    assert await _statuses(engine) == {4: "shadow", 3: "active", 2: "retired", 1: "retired"}
    async with engine.begin() as connection:
        found = await calibrations.active_and_shadow(connection, *PLACE)
        assert found.standing is not None
        assert found.shadow is not None
        assert (found.standing.calibration, found.standing.note) == (calibration(3), "measured")
        assert found.shadow.calibration == calibration(4)
        # Back to an older one: the shadow stays.
        await calibrations.activate(connection, *PLACE, 1)
    assert await _statuses(engine) == {4: "shadow", 3: "retired", 2: "retired", 1: "active"}


@pytest.mark.usefixtures("database")
async def test_withdrawal_and_alarm(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        for version in (1, 2):
            await calibrations.store(connection, calibration(version))
            await calibrations.activate(connection, *PLACE, version)
        assert not await calibrations.alarm(connection, *PLACE, 1, "it is not in force")
        assert await calibrations.alarm(connection, *PLACE, 2, "too many errors")
        standing = await calibrations.active(connection, *PLACE)
        assert standing is not None
        assert (standing.calibration.version, standing.status) == (2, CalibrationStatus.ALARMED)
        with pytest.raises(CalibrationRefused, match="version 2 has alarmed and sends every case to people"):
            await calibrations.withdraw(connection, *PLACE, "in doubt")
        with pytest.raises(CalibrationRefused, match=r"1 was made from cases .* calibration 2 alarmed at .*too many e"):
            await calibrations.activate(connection, *PLACE, 1)
        await calibrations.store(connection, calibration(3, last_case_at=datetime.now(UTC) + timedelta(hours=1)))
        await calibrations.activate(connection, *PLACE, 3)
        assert await calibrations.withdraw(connection, *PLACE, "the product has changed") == 3
        # The alarm of before does not come back.
        assert await calibrations.active(connection, *PLACE) is None
        with pytest.raises(NotFound, match="nothing to withdraw"):
            await calibrations.withdraw(connection, *PLACE, "again")
        # What it spoke against stays refused.
        with pytest.raises(CalibrationRefused, match="calibrate the panel on cases decided since"):
            await calibrations.activate(connection, *PLACE, 1)


@pytest.mark.usefixtures("database")
async def test_a_row_that_was_edited_is_refused(engine: AsyncEngine) -> None:
    edit = text("UPDATE calibrations SET body = jsonb_set(body, '{certificates,0,threshold}', '-1') WHERE version = 1")
    async with engine.begin() as connection:
        await calibrations.store(connection, calibration(1))
        await connection.execute(edit)
        assert (await calibrations.active_and_shadow(connection, *PLACE)) == calibrations.InForce(None, None)
        said = r"calibration 1 of claim/payout cannot be read \(certificates.0.threshold: .*greater than 0\): calibrate"
        for refused in (
            calibrations.activate(connection, *PLACE, 1),
            calibrations.find(connection, *PLACE, 1),
            calibrations.listing(connection, *PLACE),
        ):
            with pytest.raises(CalibrationUnreadable, match=said):
                await refused
        await connection.execute(text("UPDATE calibrations SET status = 'active', activated_at = now()"))
        with pytest.raises(CalibrationUnreadable, match=said):
            await calibrations.active(connection, *PLACE)
        # Another one takes its place.
        assert await calibrations.next_version(connection, *PLACE) == 2
        await calibrations.store(connection, calibration(2))
        found = await calibrations.active_and_shadow(connection, *PLACE)
        assert (found.standing, found.shadow is not None, found.unreadable is not None) == (None, True, True)
        await calibrations.activate(connection, *PLACE, 2)
        standing = await calibrations.active(connection, *PLACE)
        assert standing is not None
        assert standing.calibration.version == 2


@pytest.mark.usefixtures("database")
async def test_refusals_say_what_to_do(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        with pytest.raises(NotFound, match="it has none: calibrate its panel first"):
            await calibrations.activate(connection, *PLACE, 1)
        await calibrations.store(connection, calibration(1))
        with pytest.raises(InputError, match="calibration 1 is there already: store this one as 2"):
            await calibrations.store(connection, calibration(1))
        with pytest.raises(NotFound, match=r"has no calibration 7: it has 1 \(shadow\)"):
            await calibrations.find(connection, *PLACE, 7)


def test_the_database_itself_refuses_a_second_active_one(database: Connection) -> None:
    row = {"task_type": "claim", "subtask_id": "payout", "status": "active", "strategy": "s", "panel": {}, "body": {}}
    database.execute(insert(tables.calibrations).values(**row, version=1))
    with pytest.raises(IntegrityError, match="uq_calibrations_standing"):
        database.execute(insert(tables.calibrations).values(**row, version=2))


def _resolved(
    database: Connection,
    hour: int,
    rounds: list[dict[str, str | None]],
    right: str = "approve",
    key: str | None = None,
    **task: Any,
) -> str:
    task_id = add_task(database, case_key=key or f"case {hour}", **task)
    place = {"task_id": task_id, "subtask_id": "afford"}
    for number, votes in enumerate(rounds):
        for persona, option in votes.items():
            _vote(database, place, number, persona, option, None)
    _vote(database, place, 0, "z_struck", "decline", "it names a protected attribute")
    decision: dict[str, Any] = {"kind": "decided", "strategy": "plurality", "margin": 1.0, "rounds": len(rounds)}
    values = {**place, **decision, "body": {}, "at": START + timedelta(hours=hour)}
    database.execute(insert(tables.decisions).values(values))
    database.execute(insert(tables.outcomes).values(task_id=task_id, label="x", right_action=right, recorded_by="bob"))
    return task_id


def _vote(
    database: Connection, place: dict[str, str], number: int, persona: str, option: str | None, struck: str | None
) -> None:
    given = Proposal(
        persona=persona, persona_version=2, round=number, option=option, confidence=0.7, rationale=uuid.uuid4().hex
    )
    body = given.model_dump(mode="json")
    row = {**place, "round": number, "persona": persona, "key": "k", "option": option, "confidence": 0.7, "body": body}
    database.execute(insert(tables.proposals).values(**row, struck=struck))


async def test_resolved_cases_hold_every_round_that_counts(database: Connection, engine: AsyncEngine) -> None:
    late = _resolved(database, 3, [{"ann": "approve"}], right="decline")
    early = _resolved(database, 1, [{"bob": None, "ann": "approve"}, {"ann": "decline"}])
    silent = _resolved(database, 2, [])
    add_task(database)
    async with engine.connect() as connection:
        rows = await resolved_cases(connection, LOAN, "afford")
        assert [row.task_id for row in rows] == [early, silent, late]
        said = [[(one.persona, one.option) for one in given] for given in rows[0].rounds]
        assert said == [[("ann", "approve"), ("bob", None)], [("ann", "decline")]]
        assert (rows[0].versions, rows[0].right_action, rows[0].case_key) == ({"ann": 2, "bob": 2}, "approve", "case 1")
        assert (rows[1].rounds, rows[2].right_action) == ((), "decline")
        window = await resolved_cases(connection, LOAN, "afford", rows[1].decided_at, rows[2].decided_at)
        assert [row.task_id for row in window] == [silent]
        assert [row.task_id for row in await resolved_cases(connection, LOAN, "afford", limit=1)] == [late]
        with pytest.raises(InputError, match="outcomes speak of its answer, afford"):
            await resolved_cases(connection, LOAN, "other")


def _remember(database: Connection, task: str, kind: str, known: datetime) -> None:
    row = {"id": uuid.uuid4().hex, "kind": kind, "task_type": "loan", "task_id": task, "text": "t", "data": {}}
    database.execute(insert(tables.memories).values(**row, known_at=known))


async def test_a_case_is_known_with_its_first_outcome_and_the_stake_is_a_number(
    database: Connection, engine: AsyncEngine
) -> None:
    kind = LOAN.model_copy(update={"stake_field": "amount"})
    told, again = START + timedelta(hours=2), START + timedelta(hours=9)
    first = _resolved(database, 1, [{"ann": "approve"}], key="k", payload={"amount": 12})
    rerun = _resolved(database, 3, [{"ann": "decline"}], key="k", payload={"amount": "12"})
    other = _resolved(database, 4, [{"ann": "decline"}], key="l", payload={"amount": True})
    elsewhere = _resolved(database, 5, [{"ann": "decline"}], key="l", task_type="other")
    # Recorded again, long after: what was recalled from it was known since it was first told.
    database.execute(update(tables.outcomes).values(recorded_at=again))
    database.execute(update(tables.outcomes).where(tables.outcomes.c.task_id == elsewhere).values(recorded_at=START))
    for kind_, known in (("episodic", told), ("semantic", START)):
        _remember(database, first, kind_, known)
    async with engine.connect() as connection:
        rows = {row.task_id: row for row in await resolved_cases(connection, kind, "afford")}
        plain = await resolved_cases(connection, LOAN, "afford")
    assert {task: row.known_at for task, row in rows.items()} == {first: told, rerun: told, other: again}
    assert {task: row.stake for task, row in rows.items()} == {first: 12.0, rerun: None, other: None}
    assert {row.stake for row in plain} == {None}
