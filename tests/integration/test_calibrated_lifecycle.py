"""A calibration from cold start to shadow, decision, audit, alarm and withdrawal, through the direct lane."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from control_plane.services import outcomes
from control_plane.services.listing import list_tasks
from domain.calibration import Audit, Calibration, CalibrationStatus
from domain.decision import Decision, ResultKind
from domain.errors import InputError
from domain.settings import Settings
from domain.task import Lane, TaskStatus
from orchestration.direct import DIRECT
from orchestration.run import Runtime, run_task
from orchestration.stages import StageResult, Stages, hold_round
from orchestration.submission import submit_task
from orchestration.wiring import open_runtime
from storage.leases import claim_one, release
from storage.repositories import calibrations
from storage.repositories.audits import audits_of, totals
from storage.repositories.listing import TaskFilter
from storage.repositories.negotiation import load_decision
from tasks.context import StageContext
from tasks.contract import contract_of
from tests.integration.calibrated_claims import (
    AGREED,
    SPLIT,
    blind_reason,
    calibration,
    new_version,
    status_of,
    write_calibrated,
)

PLACE = ("claim", "payout")


@asynccontextmanager
async def _open(settings: Settings, catalog: Path) -> AsyncIterator[Runtime]:
    async with open_runtime(settings.model_copy(update={"catalog": catalog})) as runtime:
        yield runtime


@pytest.fixture(autouse=True)
async def _nothing_learned(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM audits"))
        await connection.execute(text("DELETE FROM calibrations"))


async def _submit(runtime: Runtime, payload: dict[str, Any]) -> str:
    kind = runtime.catalog.task_type("claim")
    return (await submit_task(runtime.engine, kind, payload, principal="ann", lane=Lane.DIRECT)).task_id


async def _run(runtime: Runtime, task_id: str) -> tuple[TaskStatus, Decision]:
    claim = await claim_one(runtime.engine, "test", task_id, seconds=30)
    assert claim is not None
    status = await run_task(runtime, claim.lease, DIRECT, runtime.graphs())
    async with runtime.engine.connect() as connection:
        return status, await load_decision(connection, task_id, "payout")


async def _decide(runtime: Runtime, payload: dict[str, Any]) -> tuple[TaskStatus, Decision]:
    return await _run(runtime, await _submit(runtime, payload))


async def _store(engine: AsyncEngine, made: Calibration, *, active: bool) -> None:
    async with engine.begin() as connection:
        await calibrations.store(connection, made)
        if active:
            await calibrations.activate(connection, *PLACE, made.version, "by hand")


async def _outcome(runtime: Runtime, task_id: str, label: str) -> None:
    types = {"claim": runtime.catalog.task_type("claim")}
    await outcomes.record_one(runtime.engine, types, task_id, label, "bob")


async def _audits(runtime: Runtime, version: int) -> list[Audit]:
    async with runtime.engine.connect() as connection:
        return await audits_of(connection, *PLACE, version)


async def test_cold_start_counts_plurality_and_asks_a_person(settings: Settings, tmp_path: Path) -> None:
    async with _open(settings, write_calibrated(tmp_path)) as runtime:
        status, decision = await _decide(runtime, AGREED)
        result = decision.result
        assert (status, result.kind, result.option) == (TaskStatus.PARKED, ResultKind.BELOW_THRESHOLD, "pay")
        assert (result.rule, result.calibration, decision.option, decision.shadow) == ("plurality", None, None, None)
        assert result.reason.startswith("no calibration is active: plurality was counted, pay leads")


async def test_above_the_threshold_it_decides_and_below_it_does_not(settings: Settings, tmp_path: Path) -> None:
    async with _open(settings, write_calibrated(tmp_path, certify={"audit": 0.0})) as runtime:
        await _store(runtime.engine, calibration(1), active=True)
        status, decision = await _decide(runtime, AGREED)
        assert (status, decision.result.kind, decision.result.calibration) == (TaskStatus.DONE, ResultKind.DECIDED, 1)
        assert decision.result.score == pytest.approx(0.982, abs=1e-3)
        assert decision.option is not None
        assert decision.option.name == "pay"
        status, decision = await _decide(runtime, SPLIT)
        assert (status, decision.result.option) == (TaskStatus.PARKED, "reject")
        assert await blind_reason(runtime, decision.task_id) == (
            "below_threshold: reject leads with a posterior of 0.8808; the certified threshold is 0.95; round 1 follows"
        )
        assert "the threshold is certified for the blind vote" in decision.result.reason
        assert await _audits(runtime, 1) == []


async def test_a_shadow_is_computed_beside_and_decides_nothing(settings: Settings, tmp_path: Path) -> None:
    async with _open(settings, write_calibrated(tmp_path)) as runtime:
        await _store(runtime.engine, calibration(1), active=False)
        status, decision = await _decide(runtime, AGREED)
        assert (status, decision.result.calibration) == (TaskStatus.PARKED, None)
        assert decision.shadow is not None
        assert (decision.shadow.calibration, decision.shadow.kind) == (1, ResultKind.DECIDED)
        assert (decision.shadow.option, decision.shadow.score) == ("pay", pytest.approx(0.982, abs=1e-3))
        # One that certifies nothing, beside the one that decides.
        async with runtime.engine.begin() as connection:
            await calibrations.activate(connection, *PLACE, 1)
        await _store(runtime.engine, calibration(2, threshold=None), active=False)
        status, decision = await _decide(runtime, AGREED)
        assert (status, decision.result.calibration) == (TaskStatus.DONE, 1)
        assert decision.shadow is not None
        assert (decision.shadow.calibration, decision.shadow.kind) == (2, ResultKind.BELOW_THRESHOLD)
        # What is made for another panel is not.
        await _store(runtime.engine, calibration(3, panel={"pay_a": 1, "pay_c": 1}), active=False)
        assert (await _decide(runtime, AGREED))[1].shadow is None


async def test_a_drawn_case_is_resolved_once_by_its_outcome(settings: Settings, tmp_path: Path) -> None:
    async with _open(settings, write_calibrated(tmp_path, certify={"audit": 1.0})) as runtime:
        await _store(runtime.engine, calibration(1), active=True)
        first = (await _decide(runtime, AGREED))[1].task_id
        second = await _submit(runtime, AGREED)
        await _outcome(runtime, second, "not_due")  # known before it is decided
        await _run(runtime, second)
        await _decide(runtime, SPLIT)  # a person's: not drawn
        assert [(one.task_id, one.right) for one in await _audits(runtime, 1)] == [(second, False), (first, None)]
        waiting = await list_tasks(runtime.engine, TaskFilter(to_audit=True), None, 10)
        assert [row["id"] for row in waiting.tasks] == [first]
        for label, right in (("due", True), ("due", True), ("not_due", False)):
            await _outcome(runtime, first, label)
            assert [(one.task_id, one.right) for one in await _audits(runtime, 1)] == [(second, False), (first, right)]
        async with runtime.engine.connect() as connection:
            assert (await totals(connection, *PLACE, 1)).model_dump() == {"drawn": 2, "resolved": 2, "wrong": 2}
            sql = text("SELECT data FROM events WHERE task_id = :id AND event = 'negotiate.audit'")
            [data] = (await connection.execute(sql, {"id": first})).scalars()
        assert (data["calibration"], data["share"]) == (1, 1.0)


async def test_too_many_errors_alarm_and_everything_goes_to_people(settings: Settings, tmp_path: Path) -> None:
    async with _open(settings, write_calibrated(tmp_path, certify={"audit": 1.0})) as runtime:
        await _store(runtime.engine, calibration(1), active=True)
        decided = [(await _decide(runtime, AGREED))[1].task_id for _ in range(7)]
        # Six errors, told twice each, are still six; the seventh is one too many.
        for task_id in decided[:6] * 2:
            await _outcome(runtime, task_id, "not_due")
        assert await status_of(runtime, 1) is CalibrationStatus.ACTIVE
        await _outcome(runtime, decided[6], "not_due")
        assert await status_of(runtime, 1) is CalibrationStatus.ALARMED
        status, decision = await _decide(runtime, AGREED)
        assert status is TaskStatus.PARKED
        assert decision.result.reason == (
            "pay leads, and a person decides: the audits of calibration 1 found more errors than it certifies"
        )
        async with runtime.engine.begin() as connection:
            [row] = await calibrations.listing(connection, *PLACE)
            assert row.note == "7 of 7 audits were wrong; 5.0% was certified"
            with pytest.raises(InputError, match=r"calibration 1 has alarmed .* calibrate the panel on newer cases"):
                await calibrations.activate(connection, *PLACE, 1)
        await _store(runtime.engine, calibration(2, last_case_at=datetime.now(UTC) + timedelta(hours=1)), active=True)
        status, decision = await _decide(runtime, AGREED)
        assert (status, decision.result.calibration) == (TaskStatus.DONE, 2)


async def test_outcomes_in_bulk_alarm_too(settings: Settings, tmp_path: Path) -> None:
    async with _open(settings, write_calibrated(tmp_path, certify={"audit": 1.0})) as runtime:
        await _store(runtime.engine, calibration(1), active=True)
        decided = [(await _decide(runtime, AGREED))[1].task_id for _ in range(8)]
        async with runtime.engine.begin() as connection:
            await connection.execute(text("UPDATE tasks SET case_key = id WHERE id = ANY(:ids)"), {"ids": decided})
        cases = [outcomes.LabelledCase(line, one, "not_due") for line, one in enumerate(decided, start=2)]
        types = {"claim": runtime.catalog.task_type("claim")}
        recorded = await outcomes.record_cases(runtime.engine, types, cases, "bob")
        assert (recorded.tasks, await status_of(runtime, 1)) == (8, CalibrationStatus.ALARMED)


async def test_another_version_of_a_persona_withdraws_it(settings: Settings, tmp_path: Path) -> None:
    catalog = write_calibrated(tmp_path)
    async with _open(settings, catalog) as runtime:
        await _store(runtime.engine, calibration(1), active=True)
        assert (await _decide(runtime, AGREED))[0] is TaskStatus.DONE
    new_version(catalog, "pay_b")
    async with _open(settings, catalog) as runtime:
        status, decision = await _decide(runtime, AGREED)
        assert (status, decision.result.certified) == (TaskStatus.PARKED, None)
        assert decision.result.reason == (
            "pay leads, and a person decides: persona pay_b is version 2; calibration 1 was made with version 1"
        )


async def test_another_question_withdraws_it(settings: Settings, tmp_path: Path) -> None:
    async with _open(settings, write_calibrated(tmp_path)) as runtime:
        asked = contract_of(runtime.catalog.task_type("claim").subtask("payout"))
        await _store(runtime.engine, calibration(1).model_copy(update={"contract": asked}), active=True)
        assert (await _decide(runtime, AGREED))[0] is TaskStatus.DONE
        other = calibration(2).model_copy(update={"contract": asked.model_copy(update={"question": "another"})})
        await _store(runtime.engine, other, active=True)
        status, decision = await _decide(runtime, AGREED)
        assert (status, decision.result.reason) == (
            TaskStatus.PARKED,
            "pay leads, and a person decides: the subtask's question is another one now; "
            "calibration 2 was made before that",
        )


async def test_a_calibration_that_cannot_be_read_sends_everything_to_people(settings: Settings, tmp_path: Path) -> None:
    edit = text("UPDATE calibrations SET body = jsonb_set(body, '{certificates,0,threshold}', '0') WHERE version = 1")
    async with _open(settings, write_calibrated(tmp_path, certify={"audit": 1.0})) as runtime:
        await _store(runtime.engine, calibration(1), active=True)
        decided = (await _decide(runtime, AGREED))[1].task_id
        async with runtime.engine.begin() as connection:
            await connection.execute(edit)
            # What is known of it is known by when it was stored: this is another one.
            await connection.execute(text("UPDATE calibrations SET created_at = created_at + interval '1 second'"))
        status, decision = await _decide(runtime, AGREED)
        assert (status, decision.result.kind, decision.result.calibration) == (
            TaskStatus.PARKED,
            ResultKind.BELOW_THRESHOLD,
            1,
        )
        assert decision.result.reason.startswith(
            "calibration 1 of claim/payout cannot be read (certificates.0.threshold: Input should be greater than 0)"
        )
        # An outcome is recorded as ever.
        await _outcome(runtime, decided, "not_due")
        assert [one.right for one in await _audits(runtime, 1)] == [False]
        await _store(runtime.engine, calibration(2), active=True)
        assert (await _decide(runtime, AGREED))[0] is TaskStatus.DONE


async def test_the_second_strategy_takes_over_with_the_first_activation(settings: Settings, tmp_path: Path) -> None:
    later = {"certify": {"audit": 1.0}}
    async with _open(settings, write_calibrated(tmp_path, name="plurality", when_calibrated=later)) as runtime:
        await _store(runtime.engine, calibration(1), active=False)
        status, decision = await _decide(runtime, AGREED)
        assert (status, decision.result.rule) == (TaskStatus.DONE, "plurality")
        assert decision.shadow is not None
        assert decision.shadow.score == pytest.approx(0.982, abs=1e-3)
        async with runtime.engine.begin() as connection:
            await calibrations.activate(connection, *PLACE, 1)
        status, decision = await _decide(runtime, AGREED)
        assert (status, decision.result.rule) == (TaskStatus.DONE, "calibrated_pool")
        assert [one.task_id for one in await _audits(runtime, 1)] == [decision.task_id]
        assert (await _decide(runtime, SPLIT))[0] is TaskStatus.PARKED


async def test_a_run_cut_off_behind_a_round_goes_on_as_that_round_ended(settings: Settings, tmp_path: Path) -> None:
    """Whatever was activated since: under the second calibration the first round would have decided."""

    async def cut_off(stages: Stages, context: StageContext, subtask_id: str, round: int) -> StageResult:
        held = await hold_round(stages, context, subtask_id, round)
        if (subtask_id, round) == ("payout", 0):
            raise ConnectionAbortedError("cut off between the round's commit and its checkpoint")
        return held

    async with _open(settings, write_calibrated(tmp_path, certify={"audit": 0.0})) as runtime:
        await _store(runtime.engine, calibration(1), active=True)
        task_id = await _submit(runtime, SPLIT)
        claim = await claim_one(runtime.engine, "test", task_id, seconds=30)
        assert claim is not None
        with pytest.raises(ConnectionAbortedError):
            await run_task(runtime, claim.lease, replace(DIRECT, run_round=cut_off), runtime.graphs())
        await release(runtime.engine, claim.lease)
        recorded = await blind_reason(runtime, task_id)
        assert recorded.endswith("the certified threshold is 0.95; round 1 follows")
        await _store(runtime.engine, calibration(2, threshold=0.5), active=True)
        status, decision = await _run(runtime, task_id)
        assert (status, decision.rounds, decision.option) == (TaskStatus.PARKED, 2, None)
        assert (decision.result.kind, decision.result.calibration) == (ResultKind.BELOW_THRESHOLD, 2)
        assert await blind_reason(runtime, task_id) == recorded
        assert (await _decide(runtime, SPLIT))[0] is TaskStatus.DONE


async def test_a_higher_stake_goes_to_a_person(settings: Settings, tmp_path: Path) -> None:
    async with _open(settings, write_calibrated(tmp_path, certify={"stake_limit": 499})) as runtime:
        await _store(runtime.engine, calibration(1), active=True)
        status, decision = await _decide(runtime, AGREED)
        assert (status, decision.result.reason) == (
            TaskStatus.PARKED,
            "pay leads, and a person decides: 500 is at stake; the limit is 499",
        )
        assert (await _decide(runtime, {**AGREED, "amount": 499}))[0] is TaskStatus.DONE
