"""What each session of ours is told, so that a process that stands still, or a network that is gone, holds nobody up.

A transaction of a run never waits for anything but the database: models, targets and filters are asked outside. So one
that is silent for long is of a process that was stopped, or of a host that is gone: Postgres ends it with its locks.
"""

from typing import Any

from psycopg.conninfo import conninfo_to_dict

IDLE_SECONDS = 30.0
"""How long a transaction may be silent: about a lease, so that its task goes on elsewhere within two."""

LONG_IDLE_SECONDS = 600.0
"""For what reads much and computes between two statements: it locks no task's row."""

_PROBES = 3


def plain_url(dsn: str) -> str:
    """The URL without a driver, as libpq reads it."""
    return f"postgresql://{dsn.split('://', 1)[1]}"


def alive(dsn: str, seconds: float = IDLE_SECONDS) -> dict[str, Any]:
    """Connection parameters by which a server that is gone is an error after about so long.

    What the DSN itself says stands.
    """
    probe = max(1, round(seconds / (2 * _PROBES)))
    wanted = {
        "keepalives": 1,
        "keepalives_idle": max(1, round(seconds / 3)),
        "keepalives_interval": probe,
        "keepalives_count": _PROBES,
        "tcp_user_timeout": int(1000 * seconds),
    }
    said = conninfo_to_dict(plain_url(dsn))
    return {name: value for name, value in wanted.items() if name not in said}


def limits(idle_seconds: float, lock_seconds: float = 0.0) -> str:
    """The statement after which Postgres ends this session where a transaction is silent, or its client gone, for so
    long, and refuses what waits for a lock longer than `lock_seconds` (0: never).

    A statement, not a start-up option, which a pooler would not pass on.
    """
    wanted = {
        "idle_in_transaction_session_timeout": idle_seconds,
        "tcp_user_timeout": idle_seconds,
        "lock_timeout": lock_seconds,
    }
    set_them = (f"set_config('{name}', '{int(1000 * seconds)}', false)" for name, seconds in wanted.items())
    return f"SELECT {', '.join(set_them)}"
