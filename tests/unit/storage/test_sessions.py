"""What each session is told: how long a transaction may be silent, and when a server that is gone is an error."""

import pytest
from sqlalchemy import text

from deployments.postgres import PostgresServer
from storage.checkpoints import open_pool
from storage.engine import async_engine, sync_engine
from storage.sessions import alive
from tests.conftest import fresh_database

DSN = "postgresql://parley@db.example/parley"
NAMES = ("idle_in_transaction_session_timeout", "tcp_user_timeout", "lock_timeout")
SHOWN = text(f"SELECT {', '.join(f'''current_setting('{name}') AS {name}''' for name in NAMES)}")


def test_a_server_that_is_gone_is_an_error_in_about_so_long() -> None:
    told = alive(DSN, 30)
    assert told["keepalives_idle"] + told["keepalives_interval"] * told["keepalives_count"] <= 30
    assert told["tcp_user_timeout"] == 30_000
    assert min(alive(DSN, 1).values()) >= 1


@pytest.mark.parametrize("given", ["keepalives_idle=7", "tcp_user_timeout=5", "keepalives=0"])
def test_what_the_dsn_says_stands(given: str) -> None:
    assert given.split("=")[0] not in alive(f"{DSN}?{given}")


async def test_every_session_has_its_limits(postgres: PostgresServer) -> None:
    dsn = fresh_database(postgres)
    engine = async_engine(dsn, size=1, idle_seconds=4, lock_seconds=2)
    async with engine.connect() as connection:
        for _ in range(2):  # a rollback between them takes nothing back
            assert tuple((await connection.execute(SHOWN)).one()) == ("4s", "4000", "2s")
            await connection.rollback()
    await engine.dispose()
    pool = await open_pool(dsn, size=1, idle_seconds=5)
    async with pool.connection() as held:
        row = await (await held.execute(str(SHOWN))).fetchone()
        assert held.info.get_parameters()["tcp_user_timeout"] == "30000"
    await pool.close()
    assert row is not None
    assert tuple(row.values()) == ("5s", "5000", "0")
    plain = sync_engine(dsn)
    with plain.connect() as connection:
        assert tuple(connection.execute(SHOWN).one()) == ("30s", "30000", "0")
    plain.dispose()
