"""A finished task gone through once more from its records: equal, or where it differs."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from catalog.load import Catalog
from control_plane.services.compared_strategies import read_names, strategy_specs
from control_plane.services.erased import refuse_erased
from control_plane.services.listing import unknown_task
from control_plane.services.replay_answers import check_answers
from control_plane.services.replay_checks import (
    Check,
    Material,
    check_guards,
    check_intake,
    check_negotiation,
    check_plan,
    check_snapshots,
)
from control_plane.services.replay_end import check_end
from control_plane.services.replaying import learned_for, to_record, under_its_rules
from domain.calibration import Calibration
from domain.canonical import digest
from domain.errors import InputError, NotFound
from domain.task import END_STATES
from negotiation.replay import redecide
from storage.repositories import calibrations
from storage.repositories.calibrations import Standing
from storage.repositories.records import TaskRecords, load_records
from storage.repositories.replay import RecordedDecision


async def replay_task(engine: AsyncEngine, catalog: Catalog, task_id: str) -> dict[str, Any]:
    """Every stage with its outcome, as plain JSON. Raises NotFound, InputError for a task that has not ended."""
    async with engine.connect() as connection:
        material = await read_material(connection, catalog, task_id)
    row, kind = material.records.row, material.kind
    if row["status"] not in END_STATES:
        raise InputError(f"task {task_id} is {row['status']}: only a finished task can be replayed")
    checks: list[Check | None] = [check_intake(material), check_plan(material)]
    for spec in kind.plan.subtasks:
        checks += [check_snapshots(material, spec), check_negotiation(material, spec)]
    checks += [*check_guards(material), check_answers(material), check_end(material)]
    found = [one for one in checks if one is not None]
    if row["type_version"] != kind.version:
        found = [_of_another_version(one, row["type_version"], kind.version) for one in found]
    return {
        "task_id": task_id,
        "task_type": kind.name,
        "equal": all(one.outcome == "equal" for one in found),
        "differs": [one.stage for one in found if one.outcome == "differs"],
        "stages": [one.model_dump(mode="json") for one in found],
        "digest": digest([[one.stage, one.recorded] for one in found]),
    }


def _of_another_version(check: Check, then: int, now: int) -> Check:
    if check.outcome != "differs":
        return check
    what = (f"recorded under version {then} of the task type, the catalog has {now}", *check.what)
    return check.model_copy(update={"outcome": "not comparable", "what": what})


async def read_material(connection: AsyncConnection, catalog: Catalog, task_id: str) -> Material:
    """The task's records with the calibrations that its decisions name. Raises NotFound, InputError where erased."""
    records = await load_records(connection, task_id)
    if records is None:
        raise unknown_task(task_id)
    refuse_erased(records.row)
    named: dict[tuple[str, int], Calibration] = {}
    for subtask_id, row in records.decisions.items():
        body = row["body"]
        for version in (body["result"].get("calibration"), (body.get("shadow") or {}).get("calibration")):
            found = await _calibration(connection, records, subtask_id, version)
            if found is not None:
                named[subtask_id, found.calibration.version] = found.calibration
    return Material(catalog, records, named)


async def _calibration(
    connection: AsyncConnection, records: TaskRecords, subtask_id: str, version: int | None
) -> Standing | None:
    if version is None:
        return None
    try:
        return await calibrations.find(connection, records.row["task_type"], subtask_id, version)
    except NotFound:
        return None


async def what_if(engine: AsyncEngine, catalog: Catalog, task_id: str, strategy: str) -> dict[str, Any]:
    """What another strategy would have made of the recorded rounds of the answer; nothing is stored.

    Raises NotFound, and InputError for a strategy that cannot be used or a task without a decision.
    """
    async with engine.connect() as connection:
        records = (await read_material(connection, catalog, task_id)).records
        kind = catalog.task_type(records.row["task_type"])
        spec = kind.subtask(kind.answer)
        row = records.decisions.get(spec.id)
        if row is None:
            raise InputError(f"task {task_id} has no decision of {spec.id}: there is nothing to decide again")
        standing = await _calibration(connection, records, spec.id, row["body"]["result"].get("calibration"))
    try:
        named = read_names(strategy)
        if len(named) != 1:
            raise InputError(f"--strategies {strategy}: name one strategy, as NAME or NAME:KEY=VALUE")
        rules = strategy_specs(named, spec, standing.calibration if standing else None, None)
    except InputError as problem:
        raise InputError(str(problem).replace("--strategies", "--strategy")) from None
    ((rule, pair),) = rules.items()
    recorded = _recorded(records, spec.id, kind.stake_field)
    record = to_record(spec, recorded)
    again = redecide(record, under_its_rules(record, pair), learned_for(standing, recorded, spec))
    return {
        "task_id": task_id,
        "subtask": spec.id,
        "recorded": {
            "strategy": recorded.strategy["name"],
            "kind": recorded.result["kind"],
            "option": recorded.option,
            "action": recorded.action,
            "rounds": len(recorded.rounds),
        },
        "now": {
            "strategy": rule,
            "identified": again.identified,
            "kind": again.kind,
            "option": again.option,
            "action": again.action,
            "leader": again.leader,
            "rounds": again.rounds,
            "margin": again.result.margin,
            "tally": again.result.tally,
            "reason": again.reason,
        },
        "right": recorded.right_action,
        "stored": False,
    }


def _recorded(records: TaskRecords, subtask_id: str, stake_field: str | None) -> RecordedDecision:
    row = records.decisions[subtask_id]
    body, told = row["body"], row["body"]["explanation"]
    rounds = [[one.proposal for one in given if one.struck is None] for given in records.rounds(subtask_id)]
    held = rounds[: row["rounds"]] + [[] for _ in range(row["rounds"] - len(rounds))]
    return RecordedDecision(
        task_id=records.row["id"],
        case_key=records.row["case_key"],
        decided_at=row["at"],
        option=row["option"],
        action=row["action"],
        result=body["result"],
        strategy=told["strategy"],
        options=told["options"],
        eligible=told["eligible"],
        step=told["step"],
        stake=records.row["payload"].get(stake_field or ""),
        right_action=records.outcome["right_action"] if records.outcome else None,
        rounds=held,
    )
