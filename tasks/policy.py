"""How a stage is retried, declared once beside the stage and applied by either lane."""

from dataclasses import dataclass

from psycopg import InterfaceError, OperationalError
from psycopg.errors import IdleInTransactionSessionTimeout
from sqlalchemy.exc import DBAPIError

from domain.errors import ExecutorError, ExecutorRejected

# The last: a process that stood still in a transaction finds its session ended (`storage.sessions`).
_AWAY = (OperationalError, InterfaceError, IdleInTransactionSessionTimeout)


@dataclass(frozen=True)
class StagePolicy:
    """Retries, back-off and time-out of one stage."""

    stage: str
    attempts: int = 3
    backoff_seconds: float = 0.5
    """The first wait; doubled for each further one where `exponential`."""
    exponential: bool = True
    jitter: float = 0.3
    """Share of a wait that is random."""
    timeout_seconds: float = 60.0
    cached: bool = False
    """Whether a repeated traced run may take the stored result: only where the inputs are the stage's ids."""


def is_transient(error: BaseException) -> bool:
    """Whether another attempt may help: the database or an executor's target was away."""
    if isinstance(error, ExecutorRejected):
        return False
    if isinstance(error, DBAPIError):
        return isinstance(error.orig, _AWAY)
    return isinstance(error, (*_AWAY, ExecutorError, TimeoutError, ConnectionError))
