"""The human inbox: what waits for people, and taking each one's answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from control_plane.services.inbox_reading import find_approval, standing
from control_plane.services.inbox_words import why_not
from control_plane.services.reasons import bounded
from domain.approval import DONE, NOT_DONE, QUESTIONS, ApprovalStatus
from domain.asking import OPERATOR, UNASSIGNED, Asks, Given, Voice, choice_digest, decide, voice_of
from domain.decision import ResultKind
from domain.errors import AnswerRefused, InputError
from domain.task import END_STATES
from storage.repositories import inbox
from storage.repositories.escalation import step_on
from storage.repositories.inbox import Answer
from storage.repositories.listing import Row
from storage.repositories.roles import holders

CHOOSING = frozenset(ResultKind) - {ResultKind.DECIDED}
"""Causes for which the panel leaves the choice of the action to the person."""


@dataclass(frozen=True)
class Said:
    """What a person says to a request."""

    principal: str
    reason: str
    action: str | None = None
    """The option chosen, where the panel left the choice."""
    arguments: dict[str, Any] | None = None
    """In place of those shown; checked before."""
    digest: str | None = None
    """Of what they were shown; None: of what is shown now."""


async def open_approvals(engine: AsyncEngine) -> Sequence[Row]:
    """What waits for an answer, the most urgent first, each with who is asked and what was answered so far."""
    async with engine.connect() as connection:
        return await standing(connection, await inbox.open_approvals(connection))


async def approve(
    engine: AsyncEngine,
    given_id: str,
    *,
    principal: str,
    reason: str,
    action: str | None,
    digest: str | None,
    arguments: dict[str, Any] | None = None,
) -> Row:
    """Approve, and say what was answered. `arguments`: as `edits.edited` gave them.

    Raises NotFound, InputError or AnswerRefused with the exact reason.
    """
    return await respond(engine, given_id, "approve", Said(principal, reason, action, arguments, digest))


async def refuse(engine: AsyncEngine, given_id: str, *, principal: str, reason: str, digest: str | None) -> Row:
    """Refuse, and say what was answered. Raises NotFound, InputError or AnswerRefused with the exact reason."""
    return await respond(engine, given_id, "refuse", Said(principal, reason, digest=digest))


async def override(
    engine: AsyncEngine, given_id: str, *, principal: str, reason: str, action: str | None, digest: str | None
) -> Row:
    """Consent as one operator: in place of a quorum, or against policies that allow it.

    Raises NotFound, InputError or AnswerRefused with the exact reason.
    """
    return await respond(engine, given_id, "override", Said(principal, reason, action, digest=digest))


async def respond(engine: AsyncEngine, given_id: str, word: str, said: Said) -> Row:
    """Take the answer; a word that is no known answer refuses. Raises NotFound, InputError or AnswerRefused."""
    if not said.reason.strip():
        raise InputError("--reason is empty: say why, it is kept with the answer")
    bounded(said.reason)
    async with engine.connect() as connection:
        asked = await find_approval(connection, given_id)
    voice = voice_of(word)
    option, arguments = consented(asked, voice, said)
    # What takes the approval on is read again under the task's lock.
    async with engine.begin() as connection:
        task = await inbox.lock_task(connection, asked["task_id"])
        over = task["status"] in END_STATES or (task["cancel_requested"] and asked["cause"] not in QUESTIONS)
        if not over:
            await step_on(connection, task["id"], task["fence"], asked["id"], said.principal)
        row = await _again(connection, asked)
        given = _answer(row, voice, option, arguments, said)
        taken = None if over else await inbox.give(connection, given)
        if taken is not None:
            await _count(connection, task, row, given, taken)
            return (await standing(connection, [await _again(connection, asked)]))[0]
        why = why_not(row, given, task, await inbox.answers_to(connection, [row["id"]]), await holders(connection))
    # Outside of the transaction: that its time ran out, and the next role is asked, stands all the same.
    raise AnswerRefused(why)


async def _again(connection: AsyncConnection, asked: Row) -> Row:
    found = await inbox.approval(connection, asked["id"])
    if found is None:
        raise AnswerRefused(f"approval {asked['id']} is there no more")
    return found


def asks_of(row: Row) -> Asks:
    """Who has to answer the request of this row."""
    return Asks.model_validate(row["shown"].get("asks") or {"role": row["role"]})


def _answer(row: Row, voice: Voice, option: str | None, arguments: dict[str, Any] | None, said: Said) -> Answer:
    asks, digest = asks_of(row), said.digest or row["digest"]
    override = voice is Voice.OVERRIDDEN
    return Answer(
        approval_id=row["id"],
        digest=digest,
        voice=voice,
        option=option,
        arguments=arguments,
        choice=choice_digest(digest, option, arguments),
        principal=said.principal,
        role=OPERATOR if override and not asks.overrides else asks.role_at(row["step"]),
        step=row["step"],
        strict=asks.strict or override,
        reason=said.reason,
    )


async def _count(connection: AsyncConnection, task: Row, row: Row, given: Answer, taken: Row) -> None:
    """Decide the request where the answers so far do."""
    asks = asks_of(row)
    answers = [inbox.as_given(one) for one in await inbox.answers_to(connection, [row["id"]])]
    outcome = decide(asks, answers)
    data = _told(asks, given, taken, answers)
    decided = None
    if outcome is not None:
        status = ApprovalStatus.REFUSED if outcome is Voice.REFUSED else ApprovalStatus.APPROVED
        await inbox.close(connection, given, status.value)
        decided = await _again(connection, row)
        data["status"] = status.value
        await inbox.wake(connection, task["id"])
    await inbox.tell_answer(connection, task, row["subtask_id"], taken, data, decided)


def _told(asks: Asks, given: Answer, taken: Row, answers: Sequence[Given]) -> dict[str, Any]:
    data: dict[str, Any] = {
        "approval": given.approval_id,
        "answer": given.voice.value,
        "option": given.option,
        "by": given.principal,
        "role": given.role,
        "digest": given.digest,
    }
    if taken["grant_id"] is None:
        data["note"] = UNASSIGNED
    if given.arguments is not None:
        data["edited"] = given.choice
    if given.voice is Voice.OVERRIDDEN:
        data["overrides"] = list(asks.overrides)
    if asks.of > 1:
        data |= {"answers": len(answers), "quorum": asks.quorum, "of": asks.of}
    return data


def consented(asked: Row, voice: Voice, said: Said) -> tuple[str | None, dict[str, Any] | None]:
    """The option and the arguments that an answer is for. Raises InputError for what this request does not take."""
    question, against = asked["cause"] in QUESTIONS, asks_of(asked).overrides
    if voice is Voice.REFUSED:
        if question:
            raise InputError(f"{_of_cause(asked['cause'])}: answer with approve and --action {DONE} or {NOT_DONE}")
        return None, None
    if question and voice is Voice.OVERRIDDEN:
        raise InputError(f"{_of_cause(asked['cause'])}: there is nothing to override, say with approve what happened")
    if against and voice is Voice.APPROVED:
        names, role = ", ".join(against), asked["role"]
        raise InputError(f"{names} denies this: only `parley override` by {role} puts that aside, or `parley refuse`")
    if question and said.arguments is not None:
        raise InputError(f"{_of_cause(asked['cause'])}: there are no arguments to edit")
    option = _option(asked, said.action)
    if against:
        chosen = asked["shown"].get("chosen") or {}
        return chosen.get("option"), chosen.get("arguments")
    return option, said.arguments


def _option(asked: Row, action: str | None) -> str | None:
    """The option chosen. Raises InputError when one is missing, unknown, or not the person's to choose."""
    options = [str(option) for option in asked["shown"].get("options", ())]
    if asked["cause"] not in CHOOSING | QUESTIONS:
        shown = asked["shown"].get("action")
        if action is not None and action != shown:
            raise InputError(f"--action {action}: the question is whether to {shown}: approve it as shown, or refuse")
        return None
    if action is None:
        raise InputError(f"{_of_cause(asked['cause'])}: choose with --action one of {', '.join(options)}")
    if action not in options:
        raise InputError(f"--action {action}: not among what was shown: choose one of {', '.join(options)}")
    return action


def _of_cause(cause: str) -> str:
    return "the question is what happened" if cause in QUESTIONS else f"the panel ended in {cause}"
