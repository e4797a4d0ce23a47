"""Which period to evaluate, and which to compare it with."""

from datetime import datetime

from sqlalchemy import Connection

from domain.errors import InputError
from domain.model import Frozen
from evaluation.period import Period
from evaluation.store import first_created, last_period


class Request(Frozen):
    """What the caller asked for; times are ISO 8601 with a zone."""

    task_type: str
    since: str | None = None
    until: str | None = None
    batch_ids: tuple[str, ...] | None = None
    reference_since: str | None = None
    reference_until: str | None = None
    reference_batch_ids: tuple[str, ...] | None = None


class Choice(Frozen):
    """The periods; without a reference there is nothing earlier to compare with."""

    current: Period
    reference: Period | None


def choose(connection: Connection, request: Request, now: datetime) -> Choice:
    """Fill in what was not asked for.

    Without `since`: from the end of the last report (for batches, from their first task). Without a reference: the last
    report's period, or as long a time just before `since`; for batches, none. Raises InputError.
    """
    last = last_period(connection, request.task_type)
    since = _time("since", request.since) or _start(connection, request, last, now)
    until = _time("until", request.until) or now
    current = _period(request.task_type, since, until, request.batch_ids)
    return Choice(current=current, reference=_reference(connection, request, current, last))


def _start(connection: Connection, request: Request, last: Period | None, now: datetime) -> datetime:
    if request.batch_ids is None and last is not None:
        return last.until
    return first_created(connection, request.task_type, request.batch_ids) or now


def _reference(connection: Connection, request: Request, current: Period, last: Period | None) -> Period | None:
    since = _time("reference_since", request.reference_since)
    until = _time("reference_until", request.reference_until)
    batches = request.reference_batch_ids
    if batches is not None:
        since = since or first_created(connection, request.task_type, batches) or current.since
        return _period(request.task_type, since, until or current.until, batches)
    if since is not None:
        return _period(request.task_type, since, until or current.since, None)
    if until is not None:
        raise InputError("reference_until needs reference_since or reference_batch_ids")
    if current.batch_ids is not None:
        return None
    if last is not None and request.since is None:
        return last
    return _period(request.task_type, current.since - (current.until - current.since), current.since, None)


def _period(task_type: str, since: datetime, until: datetime, batch_ids: tuple[str, ...] | None) -> Period:
    if since > until:
        raise InputError(f"the period starts at {since.isoformat()}, after its end at {until.isoformat()}")
    return Period(task_type=task_type, since=since, until=until, batch_ids=batch_ids)


def _time(name: str, given: str | None) -> datetime | None:
    if given is None:
        return None
    try:
        time = datetime.fromisoformat(given)
    except ValueError:
        raise InputError(f"{name}: expected an ISO 8601 time, got {given!r}") from None
    if time.tzinfo is None:
        raise InputError(f"{name}: {given!r} has no time zone: add Z or an offset")
    return time
