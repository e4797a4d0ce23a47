"""Notices about requests to people, sent to a webhook: what Slack takes, and whatever else reads its form.

A notice is a row that was written with what it tells of; sending it is apart from that, so no task waits for it. It is
sent at least once: the `Idempotency-Key` is the same each time.
"""

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC
from typing import Any

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from catalog.load import Catalog
from domain.approval import DRY_RUN, QUESTIONS
from domain.errors import OutboundRefused
from domain.settings import Settings
from storage.repositories import notices
from storage.repositories.notices import ESCALATED, OPENED, Notice
from tasks.outbound import Outbound

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
SEND_SECONDS = 10.0
"""For one request; its row is taken for three times as long."""
AT_ONCE = 10
MAX_TEXT = 300
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 2.0, 900.0
_TRY_AGAIN = frozenset({408, 425, 429})
_HEADS = {OPENED: "waits for", ESCALATED: "has gone on to", notices.EXPIRED: "was not answered in time by"}


async def keep_notified(engine: AsyncEngine, catalog: Catalog, settings: Settings) -> None:
    """Send what is due, again and again, until cancelled; what fails is tried again."""
    urls = urls_of(catalog)
    if settings.notify_url is None and not urls:
        return
    # It would log every URL, and one with a token in it is a secret.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    outbound = Outbound(settings.outbound_hosts)
    while True:
        try:
            sent = await send_due(engine, outbound, urls, settings.notify_url)
        except Exception as error:
            log.warning("notices: looking failed, trying again: %s", error)
            sent = 0
        if sent < AT_ONCE:
            await asyncio.sleep(LOOK_SECONDS)


def urls_of(catalog: Catalog) -> dict[str, str]:
    """Task type -> its own URL."""
    asked = {name: catalog.task_type(name).approvals.notify for name in catalog.names()}
    return {name: url for name, url in asked.items() if url is not None}


async def send_due(engine: AsyncEngine, outbound: Outbound, urls: Mapping[str, str], usual: str | None) -> int:
    """Take some, and send each; returns how many were taken."""
    types = None if usual is not None else list(urls)
    async with engine.begin() as connection:
        taken = await notices.take_due(connection, types=types, limit=AT_ONCE, seconds=3 * SEND_SECONDS)
    if taken:
        async with outbound.client(SEND_SECONDS) as client:
            sender = _Sender(engine, client)
            await asyncio.gather(*(sender.handle(one, urls.get(one.task_type, usual or "")) for one in taken))
    return len(taken)


class _Sender:
    """Sends some at once, and writes what became of each, one after the other: tasks need the connections."""

    def __init__(self, engine: AsyncEngine, client: httpx.AsyncClient) -> None:
        self._engine, self._client, self._writing = engine, client, asyncio.Lock()

    async def handle(self, one: Notice, url: str) -> None:
        """Send it, unless there is no sense in it any more."""
        error, again = None, False
        if not one.matters:
            error = "it was answered, or its task has ended, before it could be sent"
        elif one.stale:
            error = "it is too old to be sent"
        else:
            error, again = await self._send(one, url)
            if error is not None:
                log.warning("notice %s: attempt %d: %s", one.key, one.attempts, error)
        async with self._writing, self._engine.begin() as connection:
            if error is None:
                await notices.mark_sent(connection, one.key)
            elif again:
                await notices.mark_later(connection, one.key, error, _wait(one.attempts))
            else:
                await notices.mark_failed(connection, one.key, error)

    async def _send(self, one: Notice, url: str) -> tuple[str | None, bool]:
        """What went wrong, and whether to try again."""
        try:
            async with asyncio.timeout(SEND_SECONDS):
                code = await _post(self._client, url, one)
        except OutboundRefused as refusal:
            return str(refusal), False
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as problem:
            # Its message may hold the URL, and one with a token in it is a secret.
            return type(problem).__name__, True
        if 200 <= code < 300:
            return None, False
        if 300 <= code < 400:
            return f"it answered {code}: redirects are not followed", False
        return f"it answered {code}", code >= 500 or code in _TRY_AGAIN


def _wait(attempts: int) -> float:
    return float(min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(attempts - 1, 20)))


async def _post(client: httpx.AsyncClient, url: str, one: Notice) -> int:
    async with client.stream("POST", url, json=message(one), headers={"Idempotency-Key": one.key}) as response:
        return response.status_code


def message(one: Notice) -> dict[str, Any]:
    """What is sent: ids, the question, the cause, who is asked and how to answer; nothing of the payload."""
    tried = ", a dry run" if one.dry_run else ""
    head = f"{_cut(one.task_type)}{tried}: {_cut(one.subtask_id)} {_HEADS.get(one.what, one.what)} {_cut(one.role)}"
    facts = {
        "Dry run": DRY_RUN if one.dry_run else "",
        "Question": one.question or "",
        "Cause": one.cause,
        "Task": one.task_id,
        "Approval": one.approval_id,
        "Deadline": f"{one.expires_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
    }
    lines = [f"*{name}:* {_cut(value)}" for name, value in facts.items() if value]
    blocks = [_section(f"*{head}*"), _section("\n".join(lines))]
    if one.what in (OPENED, ESCALATED):
        blocks.append(_section(f"Answer with `{_how(one)}`"))
    return {"text": head, "blocks": blocks}


def _how(one: Notice) -> str:
    if one.overriding:
        return f"parley override {one.approval_id} --reason TEXT"
    chosen = " --action done" if one.cause in QUESTIONS else ""
    return f"parley approve {one.approval_id}{chosen} --reason TEXT"


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _cut(text: str) -> str:
    """One line of bounded length, in which nothing is a mention, a link or formatting to Slack."""
    line = " ".join(text.split())
    line = line if len(line) <= MAX_TEXT else f"{line[: MAX_TEXT - 3]}..."
    for one, by in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        line = line.replace(one, by)
    return line
