"""The stages of a finished task gone through once more from its records, each compared with what was recorded.

Nobody is asked and nothing is done: no reasoner, no executor, no index is called, and nothing is written.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from catalog.load import Catalog
from catalog.payloads import check_payload
from control_plane.services.replay_guards import judged_again
from control_plane.services.replay_memory import rebuilt_hash
from domain.calibration import Calibration
from domain.canonical import digest
from domain.decision import Decision, Shadow
from domain.errors import PayloadError
from domain.model import Frozen
from domain.task_type import StrategySpec, SubtaskSpec, TaskType
from negotiation.conclusion import conclude, floor_of
from negotiation.explanation import explain, stated_reasons
from negotiation.force import to_calibrate
from negotiation.learned import from_json, learned_from
from negotiation.rounds import declared_options, resolve
from negotiation.settle import Terms
from planning.planners import PLANNERS
from storage.repositories.negotiation import counted, round_key
from storage.repositories.records import TaskRecords
from tasks.background import backgrounds

ERASED = "erased: it quoted somebody whose data was taken out"

Outcome = Literal["equal", "differs", "not comparable"]


class Check(Frozen):
    """One stage gone through again."""

    stage: str
    """Its verb, with the subtask behind a slash where there is one."""
    outcome: Outcome
    what: tuple[str, ...] = ()
    """What differs, or why it cannot be compared."""
    recorded: str = ""
    """Digest of what was recorded."""
    again: str = ""
    """Digest of what came out now."""


@dataclass(frozen=True)
class Material:
    """What a replay works from."""

    catalog: Catalog
    records: TaskRecords
    calibrations: dict[tuple[str, int], Calibration]
    """By subtask and version: those that the decisions name."""

    @property
    def kind(self) -> TaskType:
        """The task's type, as it is on disk."""
        return self.catalog.task_type(self.records.row["task_type"])


def compared(stage: str, recorded: Any, again: Any, what: Sequence[str] = ()) -> Check:
    """Equal where the digests are."""
    was, now = digest(recorded), digest(again)
    if was == now:
        return Check(stage=stage, outcome="equal", recorded=was, again=now)
    told = tuple(what) or tuple(_differing(recorded, again))
    return Check(stage=stage, outcome="differs", what=told, recorded=was, again=now)


def _differing(was: Any, now: Any, path: str = "") -> Iterator[str]:
    """The paths at which two plain-JSON values differ, each with both values."""
    if isinstance(was, dict) and isinstance(now, dict):
        for name in sorted({*was, *now}):
            yield from _differing(was.get(name), now.get(name), f"{path}.{name}" if path else str(name))
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for number, pair in enumerate(zip(was, now, strict=True)):
            yield from _differing(*pair, f"{path}[{number}]")
    elif digest(was) != digest(now):
        yield f"{path or 'value'}: recorded {_short(was)}, now {_short(now)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def check_plan(material: Material) -> Check | None:
    """The planner's plan; None where the task was denied at the door."""
    row, kind = material.records.row, material.kind
    if row["plan"] is None:
        return None
    again = PLANNERS[kind.plan.planner](kind, row["created_at"]).model_dump(mode="json")
    return compared("plan", row["plan"], again)


def check_intake(material: Material) -> Check:
    """Whether the payload passes its schema, as it did or did not."""
    denied = None
    try:
        check_payload(material.kind, material.records.row["payload"])
    except PayloadError as error:
        denied = str(error)
    event = material.records.event("intake")
    was = (event or {"data": {"denied": None}})["data"]["denied"]
    if denied is None and was is not None:
        verdicts = [one for one in material.records.verdicts if one["key"] == "intake" and one["effect"] != "allow"]
        denied = "; ".join(verdicts[0]["body"]["reasons"]) if verdicts else None
    if material.records.blanked("events", "intake") or material.records.blanked("verdicts", "intake"):
        return Check(stage="intake", outcome="not comparable", what=(ERASED,))
    return compared("intake", was, denied)


def check_snapshots(material: Material, spec: SubtaskSpec) -> Check | None:
    """Each round's contexts: as they are stored, and as they are built from payload, memories and proposals."""
    records = material.records
    rounds = counted(records.rounds(spec.id))
    stored = [row for row in records.snapshots if row["subtask_id"] == spec.id]
    if not stored:
        return None
    was, now, unknown = {}, {}, []
    for row in stored:
        number = row["round"]
        was[f"{number}"] = row["hash"]
        blanked = records.blanked("snapshots", f"{spec.id}/{number}") or _erased(row["contexts"])
        if digest(row["contexts"]) != row["hash"] and not blanked:
            now[f"{number}"] = digest(row["contexts"])
            continue
        try:
            seen = records.contexts(spec.id)[number]
            now[f"{number}"] = rebuilt_hash(
                material.catalog, records.task, spec, seen, rounds[:number], records.memories
            )
            if now[f"{number}"] != row["hash"] and (blanked or records.quoted(spec.id)):
                raise ValueError(ERASED)
        except ValueError as problem:
            unknown.append(f"round {number}: {problem}")
            now[f"{number}"] = row["hash"]
    found = compared(f"memory/{spec.id}", was, now)
    if found.outcome == "equal" and unknown:
        return found.model_copy(update={"outcome": "not comparable", "what": tuple(unknown), "again": ""})
    return found


def _erased(contexts: Sequence[dict[str, Any]]) -> bool:
    return any(one["text"] == "" and "erased" in one for seen in contexts for one in seen["episodes"])


def check_negotiation(material: Material, spec: SubtaskSpec) -> Check | None:
    """The recorded proposals concluded again under the strategy and the calibration that the decision names."""
    records = material.records
    row = records.decisions.get(spec.id)
    if row is None:
        return None
    stage = f"negotiate/{spec.id}"
    if records.quoted(spec.id):
        return Check(stage=stage, outcome="not comparable", what=(ERASED,))
    recorded = Decision.model_validate(row["body"])
    try:
        again, rounds = _decide_again(material, spec, recorded)
    except (ValueError, KeyError) as problem:
        return Check(stage=stage, outcome="differs", what=(f"cannot be decided again: {problem}",))
    # A field that a record of an earlier version does not have cannot differ.
    now = again.model_dump(mode="json")
    found = compared(stage, [row["body"], rounds.recorded], [_held(now, row["body"]), rounds.again])
    return found.model_copy(update={"what": tuple(one.replace("[0].", "decision.", 1) for one in found.what)})


def _held(now: Any, was: Any) -> Any:
    if isinstance(now, dict) and isinstance(was, dict):
        return {name: _held(value, was[name]) for name, value in now.items() if name in was}
    if isinstance(now, list) and isinstance(was, list) and len(now) == len(was):
        return [_held(*pair) for pair in zip(now, was, strict=True)]
    return now


@dataclass(frozen=True)
class _Rounds:
    """What the rounds' events say, and what they would say now."""

    recorded: list[dict[str, Any]]
    again: list[dict[str, Any]]


def _decide_again(material: Material, spec: SubtaskSpec, recorded: Decision) -> tuple[Decision, _Rounds]:
    records, told = material.records, recorded.explanation
    strategy = StrategySpec.model_validate(told["strategy"])
    learned = from_json(told["terms"]["learned"]) if told["terms"]["learned"] is not None else None
    if learned is not None and (spec.id, learned.version) not in material.calibrations:
        raise ValueError(f"calibration {learned.version}, which it names, is not stored")
    terms = Terms(learned=learned, stake=told["terms"]["stake"])
    held = records.rounds(spec.id)
    # A round in which everybody was absent left no row.
    held += [[] for _ in range(recorded.rounds - len(held))]
    rounds, eligible = counted(held[: recorded.rounds]), tuple(told["eligible"])
    spoken = _Rounds([], [])
    for number in range(len(rounds)):
        overdue = told["overdue"] and number == len(rounds) - 1
        floor = floor_of(spec, declared_options(spec), eligible, rounds[: number + 1], overdue)
        ended = conclude(strategy, floor, terms)
        event = records.event(round_key(spec.id, number))
        said = {"go": ended.step.go, "option": ended.result.option, "kind": ended.result.kind.value}
        spoken.again.append({**said, "margin": ended.result.margin})
        if event is not None:
            kept = {name: event["data"][name] for name in ("option", "kind", "margin")}
            spoken.recorded.append({"go": event["event"].removeprefix("negotiate."), **kept})
        if ended.step.go != "again" and number < len(rounds) - 1:
            raise ValueError(f"it ends after {number + 1} of {len(rounds)} rounds")
    contexts = records.contexts(spec.id).get(len(rounds) - 1, ())
    disagree = len({item.option for item in ended.result.weights if item.option is not None}) > 1
    last = [row for row in records.snapshots if (row["subtask_id"], row["round"]) == (spec.id, len(rounds) - 1)]
    again = Decision(
        task_id=recorded.task_id,
        subtask_id=spec.id,
        result=ended.result,
        option=ended.option,
        reasons=stated_reasons(ended.result, rounds[-1]),
        rounds=len(rounds),
        snapshot_hash=last[0]["hash"] if last else "",
        memory_degraded=bool(last and last[0]["degraded"] is not None),
        shadow=_shadow_again(material, spec, recorded.shadow, rounds, terms.stake),
        explanation=explain(
            strategy,
            ended.options,
            eligible,
            rounds,
            ended.result,
            ended.step.reason,
            overdue=told["overdue"],
            terms=terms,
            background=backgrounds(contexts) if disagree else {},
        ),
    )
    return again, spoken


def _shadow_again(
    material: Material, spec: SubtaskSpec, recorded: Shadow | None, rounds: Sequence[Any], stake: float | None
) -> Shadow | None:
    if recorded is None:
        return None
    made = material.calibrations.get((spec.id, recorded.calibration))
    if made is None:
        raise ValueError(f"calibration {recorded.calibration}, its shadow, is not stored")
    terms = Terms(learned=learned_from(made), stake=stake)
    result = resolve(to_calibrate(spec.strategy), declared_options(spec), spec.panel, rounds[:1], terms=terms)
    return Shadow(calibration=made.version, kind=result.kind, option=result.option, score=result.score)


def check_guards(material: Material) -> list[Check]:
    """Every verdict judged again on its recorded subject; under other policies both results are said."""
    found = []
    for hop, pairs in judged_again(material.catalog, material.records).items():
        was = {key: one.recorded for key, one in pairs.items()}
        now = {key: one.again for key, one in pairs.items()}
        other = sorted(
            {one.policy_hash for one in pairs.values()} - {material.catalog.gate(material.kind.name).policy_hash}
        )
        missing = [f"{key}: {one.missing}" for key, one in pairs.items() if one.missing]
        check = compared(hop, was, now)
        if check.outcome == "equal" and (other or missing):
            said = [f"{key}: {one.effects}" for key, one in pairs.items() if one.effects]
            what = [*(f"the policies are others now than {one[:12]}" for one in other), *said, *missing]
            check = check.model_copy(update={"outcome": "not comparable", "what": tuple(what)})
        found.append(check)
    return found
