"""What one task of the direct lane leaves in Postgres, table by table: `python -m bench.growth`."""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

import psycopg
from psycopg import sql

from bench.direct import run_direct, submit
from bench.lanes import stack, tell, variables
from domain.settings import Settings
from domain.task import Lane
from orchestration.wiring import open_runtime

TASKS = 300
CHECKPOINTS = ("checkpoints", "checkpoint_writes", "checkpoint_blobs")
_TABLES = (
    "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind = 'r' AND n.nspname = 'public' ORDER BY 1"
)


async def _run(dsn: str) -> None:
    settings = Settings(worker_concurrency=8, database_url=dsn)
    async with open_runtime(settings) as runtime:
        await run_direct(runtime, settings, await submit(runtime, 0, TASKS, Lane.DIRECT))


def _sizes(dsn: str) -> list[tuple[str, int, int, int]]:
    """Table, rows, bytes, bytes with indexes: each rewritten first, so that no dead row counts."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        found = []
        for (name,) in connection.execute(_TABLES).fetchall():
            table = sql.Identifier(name)
            connection.execute(sql.SQL("VACUUM FULL {}").format(table))
            size = sql.SQL("SELECT count(*), pg_table_size(%s), pg_total_relation_size(%s) FROM {}").format(table)
            rows, alone, whole = connection.execute(size, (name, name)).fetchone() or (0, 0, 0)
            found.append((name, int(rows), int(alone), int(whole)))
        return found


def main() -> None:
    """Print the table and the sums."""
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder, stack(Path(folder)) as state:
        os.environ.update(variables(state))
        empty = {name: (alone, whole) for name, _, alone, whole in _sizes(state.dsn)}
        tell(f"running {TASKS} tasks")
        asyncio.run(_run(state.dsn))
        grown = [
            (name, rows / TASKS, (alone - empty[name][0]) / TASKS, (whole - empty[name][1]) / TASKS)
            for name, rows, alone, whole in _sizes(state.dsn)
        ]
    for name, rows, alone, whole in sorted(grown, key=lambda row: -row[3]):
        if whole > 0:
            sys.stdout.write(f"{name:20} {rows:6.1f} rows {alone:9.0f} bytes {whole:9.0f} with indexes\n")
    everything = sum(row[3] for row in grown)
    pruned = everything - sum(row[3] for row in grown if row[0] in CHECKPOINTS)
    sys.stdout.write(f"a task: {everything / 1000:.1f} kB; without its checkpoints: {pruned / 1000:.1f} kB\n")


if __name__ == "__main__":
    main()
