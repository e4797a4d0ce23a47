"""Arguments as a person would have them: those that a counter-proposal may set, and only through the gate."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncEngine

from catalog.load import Catalog
from control_plane.services.documents import parse_document, read_document
from control_plane.services.inbox import Said, consented
from control_plane.services.inbox_reading import find_approval
from domain.approval import QUESTIONS, Approval, ApprovalStatus
from domain.asking import Voice, choice_digest
from domain.canonical import canonical_json
from domain.decision import Decision
from domain.errors import AnswerRefused, InputError
from domain.guard import Effect
from domain.model import Frozen
from domain.proposal import Option
from domain.strict_json import JsonRefused, parse
from domain.task_type import TaskType
from storage.repositories.approvals import find_approval as load_approval
from storage.repositories.listing import Row
from storage.repositories.negotiation import load_decision
from storage.repositories.tasks import load_task
from tasks.bindings import with_choice
from tasks.subjects import arguments_subject
from tasks.taint import behind, is_tainted


class Edit(Frozen):
    """What is to be changed."""

    whole: dict[str, Any] | None = None
    """All arguments; None: those shown."""
    some: dict[str, Any] = Field(default_factory=dict)
    """Single ones, on top."""


def read_edit(file: Path | None, settings: Sequence[str], stdin: BinaryIO) -> Edit | None:
    """From `--edit FILE` and `--set name=value`, a value being JSON or else a text. Raises InputError."""
    if file is None and not settings:
        return None
    some = {}
    for one in settings:
        name, sign, value = one.partition("=")
        if not sign or not name.strip():
            raise InputError(f"--set {one}: give it as NAME=VALUE")
        some[name.strip()] = _value(value)
    # Once more as a whole: what single values pass may be too deep or too large together.
    parse_document(json.dumps(some).encode(), "--set")
    return Edit(whole=None if file is None else read_document(file, stdin), some=some)


def _value(text: str) -> Any:
    try:
        return parse(text.encode())
    except JsonRefused:
        return text


async def edited(
    engine: AsyncEngine, catalog: Catalog, given_id: str, action: str | None, edit: Edit
) -> dict[str, Any]:
    """The arguments that would be executed.

    Raises InputError for an edit that the task type does not allow, AnswerRefused for one that policy does not.
    """
    async with engine.connect() as connection:
        asked = await find_approval(connection, given_id)
        if asked["cause"] in QUESTIONS:
            raise InputError("the question is what happened: there are no arguments to edit")
        name, _ = consented(asked, Voice.APPROVED, Said("", "", action))
        task = await load_task(connection, asked["task_id"])
        kind = catalog.task_type(task.task_type)
        spec = kind.subtask(asked["subtask_id"])
        decision = await load_decision(connection, task.id, spec.id)
        option = with_choice(spec, decision, name, None)
        if option is None:
            raise InputError(f"--edit: {name or 'what was shown'} is no option of {spec.id} now")
        arguments = _applied(kind, spec.id, option, edit)
        approval = await load_approval(connection, asked["id"])
        tainted = await is_tainted(connection, task.id, behind(kind, spec.id))
    if approval is not None:
        changed = option.model_copy(update={"arguments": arguments})
        await _judge(
            catalog, kind, task.payload, decision, changed, _as_approved(asked, approval, name, arguments), tainted
        )
    return arguments


def _applied(kind: TaskType, subtask_id: str, option: Option, edit: Edit) -> dict[str, Any]:
    arguments = {**(option.arguments if edit.whole is None else edit.whole), **edit.some}
    names = {*arguments, *option.arguments}
    changed = sorted(name for name in names if _differs(arguments, option.arguments, name))
    if not changed:
        raise InputError("--edit: it changes nothing: approve without it")
    allowed = kind.action(subtask_id, option.action).counter_arguments
    stray = [name for name in changed if name not in allowed]
    if stray:
        known = ", ".join(allowed) or "none"
        raise InputError(f"--edit: {stray[0]} of {option.action} may not be changed: its counter_arguments are {known}")
    return arguments


def _differs(one: Mapping[str, Any], other: Mapping[str, Any], name: str) -> bool:
    if (name in one) != (name in other):
        return True
    return canonical_json(one[name]) != canonical_json(other[name])


def _as_approved(asked: Row, approval: Approval, option: str | None, arguments: dict[str, Any]) -> Approval:
    """The approval as it would stand."""
    answered: dict[str, Any] = {"status": ApprovalStatus.APPROVED, "option": option, "arguments": arguments}
    return approval.model_copy(
        update={**answered, "voice": Voice.APPROVED.value, "choice": choice_digest(asked["digest"], option, arguments)}
    )


async def _judge(
    catalog: Catalog,
    kind: TaskType,
    payload: Mapping[str, Any],
    decision: Decision,
    option: Option,
    approval: Approval,
    tainted: bool,
) -> None:
    """Before it is taken; the guard that looks before anything is done has the last word."""
    subject = arguments_subject(kind, payload, decision, option, approval, tainted=tainted)
    verdict = await catalog.gate(kind.name).judge(subject)
    if verdict.effect in (Effect.ALLOW, Effect.REDACT, Effect.DOWNGRADE):
        return
    names, why = ", ".join(verdict.policy_ids), "; ".join(verdict.reasons)
    raise AnswerRefused(f"--edit: policy does not let it pass so ({verdict.effect.value}: {names}): {why}")
