"""Worker processes that are forked from one that has everything imported, and die at a named point."""

import asyncio
import multiprocessing
from multiprocessing.process import BaseProcess

import psycopg

from orchestration.swept import Orders, serve

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["orchestration.swept"])
_DEAD_LEASE = 3600


def work(orders: Orders) -> BaseProcess:
    """A worker by these orders; where it is to die, its lease would last, so that nobody takes over before `die`."""
    lease = _DEAD_LEASE if orders.fault and not orders.stops else orders.lease_seconds
    process = _FORKS.Process(target=serve, args=(orders.model_copy(update={"lease_seconds": lease}),))
    process.start()
    return process


async def die(orders: Orders) -> None:
    """Work until killed at the orders' point; what it held has run out then, by the database's clock."""
    process = work(orders)
    await asyncio.to_thread(process.join, 60)
    assert process.exitcode == -9, orders.log.read_text()
    with psycopg.connect(orders.dsn, autocommit=True) as connection:
        connection.execute("UPDATE tasks SET lease_until = now() - interval '1 second' WHERE lease_owner IS NOT NULL")


async def end(process: BaseProcess) -> None:
    """Have it end what it runs, and wait."""
    process.terminate()
    await asyncio.to_thread(process.join, 30)
