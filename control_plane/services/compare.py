"""Counterfactual replay of recorded decisions: the same proposals under other strategies."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from control_plane.services.compared_strategies import RECORDED, Rules, read_names, reference_rule, strategy_specs
from control_plane.services.replaying import (
    as_recorded,
    blind_of,
    kind_of,
    learned_for,
    replay_recorded,
    to_record,
    under_its_rules,
)
from domain.calibration import Calibration, CalibrationStatus
from domain.canonical import digest
from domain.errors import InputError, ParleyError
from domain.task_type import SubtaskSpec, TaskType
from evaluation.compared import Choice, compare, flip
from evaluation.compared_blind import BlindChoice, BlindFigures, compare_blind, in_words
from negotiation.learned import Learned, learned_from
from negotiation.replay import BlindVote, Record, Redecided, redecide
from negotiation.settle import lacking
from negotiation.strategies import STRATEGIES
from storage.repositories import calibrations
from storage.repositories.calibrations import Standing
from storage.repositories.replay import DecisionFilter, RecordedDecision, recorded_decisions

NO_CALIBRATION = "none"


@dataclass(frozen=True)
class CompareRequest:
    """What is compared."""

    strategies: str
    """As the command names them."""
    since: datetime | None = None
    until: datetime | None = None
    batch_ids: Sequence[str] | None = None
    calibration: str | None = None
    """A version, or `none`; by default the one in force."""
    alpha: float | None = None
    """Every strategy decides only above a threshold that is certified for this error bound."""
    against: str = RECORDED
    """What the blind votes are tested against: a strategy that is compared, or the one in force on each case."""
    seed: int = 0
    limit_cases: int = 100
    """How many flips and mismatches are listed at most; all are counted."""


@dataclass(frozen=True)
class _Setup:
    """What every case is decided with."""

    subtask: SubtaskSpec
    rules: Mapping[str, Rules]
    standing: Standing | None
    by_version: Mapping[int, Calibration]
    """For replaying what was recorded."""


@dataclass
class _Found:
    """What the cases gave, in their order."""

    choices: dict[str, list[Choice]]
    blind: dict[str, list[BlindChoice | None]]
    rights: list[str | None] = field(default_factory=list)
    cases: list[dict[str, Any]] = field(default_factory=list)
    """Everything per case: what the digest is taken of."""
    flips: list[dict[str, Any]] = field(default_factory=list)
    mismatches: list[dict[str, str]] = field(default_factory=list)
    learned_from: int = 0
    """Resolved cases decided in the time that the calibration learned from."""


async def compare_strategies(engine: AsyncEngine, kind: TaskType, request: CompareRequest) -> dict[str, Any]:
    """Decide the recorded cases of the type's answer under each strategy; nobody is asked again. Plain JSON.

    Raises InputError for strategies or a calibration that cannot be used, ParleyError where nothing is recorded.
    """
    subtask = kind.subtask(kind.answer)
    named = read_names(request.strategies)
    wanted = DecisionFilter(kind.name, subtask.id, request.since, request.until, request.batch_ids)
    async with engine.connect() as connection:
        standing = await _standing(connection, kind, subtask, request.calibration)
        rules = strategy_specs(named, subtask, standing.calibration if standing else None, request.alpha)
        reference = reference_rule(request.against, list(rules))
        every = await calibrations.listing(connection, kind.name, subtask.id)
        setup = _Setup(subtask, rules, standing, {one.calibration.version: one.calibration for one in every})
        found = _Found({name: [] for name in (RECORDED, *rules)}, {name: [] for name in (RECORDED, *rules)})
        async for chunk in recorded_decisions(connection, wanted, kind.stake_field):
            await asyncio.to_thread(_take, setup, chunk, found)
    if not found.cases:
        raise ParleyError(
            f"{kind.name}: no decision of {subtask.id} is recorded in this selection: run some tasks first"
        )
    blind = await asyncio.to_thread(_blind, found, reference, request.seed)
    return {**await asyncio.to_thread(_report, kind, setup, found, request), "blind": blind}


async def _standing(
    connection: AsyncConnection, kind: TaskType, subtask: SubtaskSpec, wanted: str | None
) -> Standing | None:
    if wanted is None:
        return await calibrations.active(connection, kind.name, subtask.id)
    if wanted == NO_CALIBRATION:
        return None
    if not wanted.isascii() or not wanted.isdigit():
        raise InputError(f"--calibration {wanted}: give a version's number, or {NO_CALIBRATION}")
    return await calibrations.find(connection, kind.name, subtask.id, int(wanted))


def _take(setup: _Setup, chunk: Sequence[RecordedDecision], found: _Found) -> None:
    """Decide the chunk's cases under every strategy."""
    for row in chunk:
        record = to_record(setup.subtask, row)
        replayed = replay_recorded(setup.by_version, record, row)
        if replayed.problem is not None:
            found.mismatches.append({"task_id": row.task_id, "problem": replayed.problem})
        learned = learned_for(setup.standing, row, setup.subtask)
        recorded = as_recorded(row, record, replayed)
        found.choices[RECORDED].append(recorded)
        found.blind[RECORDED].append(_as_blind(replayed.blind))
        shown = {rule: _decide(rule, rules, (row, record), learned, found) for rule, rules in setup.rules.items()}
        found.rights.append(row.right_action)
        found.learned_from += row.right_action is not None and _within(setup.standing, row)
        found.cases.append(
            {
                "task_id": row.task_id,
                "right": row.right_action,
                "recorded": {**row.result, "taken": row.option, "rounds": len(row.rounds)},
                "mismatch": replayed.problem,
                "strategies": shown,
            }
        )


def _decide(
    rule: str, rules: Rules, case: tuple[RecordedDecision, Record], learned: Learned | None, found: _Found
) -> dict[str, Any]:
    """One strategy on one case, whose record stands in `found` already."""
    row, record = case
    again = redecide(record, under_its_rules(record, rules), learned)
    blind = blind_of(record, rules, learned)
    choice, recorded = Choice(kind_of(again), again.action, again.leader, again.identified), found.choices[RECORDED][-1]
    found.choices[rule].append(choice)
    found.blind[rule].append(_as_blind(blind))
    changed = flip(recorded, choice)
    if changed is not None:
        found.flips.append(_flip(row, rule, changed, recorded, again))
    return {**_shown(again), "blind": {"leader": blind.leader, "decided": blind.decided}}


def _as_blind(vote: BlindVote | None) -> BlindChoice | None:
    return None if vote is None else BlindChoice(leader=vote.leader, decided=vote.decided)


def _blind(found: _Found, reference: str, seed: int) -> dict[str, Any]:
    # Against another strategy the record is no candidate: testing it too would only blunt the other tests.
    passed = () if reference == RECORDED else (RECORDED,)
    figures: tuple[BlindFigures, ...] = compare_blind(found.blind, reference, found.rights, seed, passed)
    return {
        "reference": reference,
        "strategies": [one.model_dump(mode="json") for one in figures],
        "words": in_words(figures, reference),
    }


def _within(standing: Standing | None, row: RecordedDecision) -> bool:
    if standing is None:
        return False
    return standing.calibration.first_case_at <= row.decided_at <= standing.calibration.last_case_at


def _shown(again: Redecided) -> dict[str, Any]:
    return {
        "kind": again.kind,
        "option": again.option,
        "action": again.action,
        "leader": again.leader,
        "score": again.score,
        "rounds": again.rounds,
        "identified": again.identified,
    }


def _flip(row: RecordedDecision, rule: str, changed: str, recorded: Choice, again: Redecided) -> dict[str, Any]:
    return {
        "task_id": row.task_id,
        "case_key": row.case_key,
        "strategy": rule,
        "flip": changed,
        "recorded": recorded.action,
        "now": again.action,
        "kind": again.kind,
        "reason": again.reason,
        "right": row.right_action,
    }


def _report(kind: TaskType, setup: _Setup, found: _Found, request: CompareRequest) -> dict[str, Any]:
    figures = compare(found.choices, RECORDED, found.rights, request.seed)
    calibration = setup.standing.calibration if setup.standing else None
    hashed = {
        "task_type": kind.name,
        "subtask": setup.subtask.id,
        "strategies": {
            rule: [spec.model_dump(mode="json") for spec in (rules.configured, rules.taken_over)]
            for rule, rules in setup.rules.items()
        },
        "calibration": calibration.model_dump(mode="json") if calibration else None,
        "cases": found.cases,
    }
    return {
        "task_type": kind.name,
        "subtask": setup.subtask.id,
        "cases": len(found.cases),
        "resolved": sum(right is not None for right in found.rights),
        "calibration": calibration.version if calibration else None,
        "learned_from": found.learned_from,
        "strategies": [one.model_dump(mode="json") for one in figures],
        "recorded_again": {
            "same": len(found.cases) - len(found.mismatches),
            "different": len(found.mismatches),
            "mismatches": found.mismatches[: request.limit_cases],
        },
        "flips": {
            "total": len(found.flips),
            "by_strategy": dict(sorted(Counter(one["strategy"] for one in found.flips).items())),
            "cases": found.flips[: request.limit_cases],
        },
        "in_sample": _in_sample(setup, found),
        "notes": _notes(setup, found, figures),
        "hash": digest(hashed),
    }


def _in_sample(setup: _Setup, found: _Found) -> str | None:
    """Whether the calibration learned from these very cases; None where nothing is known of either."""
    if setup.standing is None or not any(right is not None for right in found.rights):
        return None
    calibration = setup.standing.calibration
    if not found.learned_from:
        when = f"in the time that calibration {calibration.version} learned from"
        return f"no case is in-sample: none of the resolved ones was decided {when}"
    return (
        f"in-sample: {found.learned_from} of the resolved cases were decided between "
        f"{calibration.first_case_at:%Y-%m-%d %H:%M} and {calibration.last_case_at:%Y-%m-%d %H:%M}, where "
        f"calibration {calibration.version} took its {calibration.fit_cases} cases to fit and "
        f"{calibration.certify_cases} to certify: what is learned looks better on these than on new cases"
    )


def _notes(setup: _Setup, found: _Found, figures: Sequence[Any]) -> list[str]:
    """What a reader has to know before trusting the figures."""
    notes = []
    learned = learned_from(setup.standing.calibration) if setup.standing else None
    for rule, rules in setup.rules.items():
        missing = lacking(STRATEGIES[rules.configured.name], learned)
        if missing is not None:
            notes.append(f"{rule}: {missing}: plurality was counted and every case goes to a person")
    in_sample = _in_sample(setup, found)
    if in_sample is not None:
        notes.append(in_sample)
    if setup.standing is not None and setup.standing.status is CalibrationStatus.ALARMED:
        notes.append(f"calibration {setup.standing.calibration.version} has alarmed: none of its thresholds stands")
    notes += [
        f"{one.strategy}: not identified: {one.not_identified}: it asks for a round that was never held; "
        "its figures leave them out, and they are seldom the easy ones"
        for one in figures
        if one.not_identified
    ]
    if found.mismatches:
        notes.append(f"{len(found.mismatches)} recorded results were not given back by their own strategy")
    if not any(right is not None for right in found.rights):
        notes.append("no outcome is recorded: nothing can be said about who is right (`parley outcome`)")
    return notes
