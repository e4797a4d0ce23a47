"""Measure both lanes and their baselines on a Postgres and a Prefect server of their own; the last line is JSON."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deployments.plan import with_database
from deployments.postgres import ensure_database, start_postgres
from deployments.prefect_server import plan_url, start_server, wait_healthy
from deployments.processes import stop
from deployments.state import StackState, environment
from domain.settings import ROOT
from storage.migrations.run import upgrade


def tell(said: str) -> None:
    """Progress."""
    print(said, file=sys.stderr, flush=True)


@contextmanager
def stack(folder: Path) -> Iterator[StackState]:
    """A Postgres of its own, migrated; no Prefect server yet."""
    tell("starting Postgres")
    server = start_postgres(folder)
    try:
        upgrade(server.dsn)
        ensure_database(server.dsn, "bench_dbos")
        yield StackState(
            home=folder,
            dsn=server.dsn,
            prefect_api_url=plan_url(),
            prefect_dsn=server.cluster.dsn("prefect"),
            postgres=server.cluster,
        )
    finally:
        server.discard()


def variables(state: StackState) -> dict[str, str]:
    """The environment of what is measured."""
    dbos = with_database(state.dsn, "bench_dbos")
    return {**os.environ, **environment(state), "BENCH_DBOS_DSN": dbos, "PREFECT_LOGGING_LEVEL": "ERROR"}


def measure(module: str, state: StackState) -> dict[str, dict[str, float]]:
    """Run the module in a process of its own; its last line is its result."""
    command = [sys.executable, "-m", module]
    done = subprocess.run(command, env=variables(state), cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, dict[str, float]] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    """Measure, and print the figures."""
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder, stack(Path(folder)) as state:
        figures = measure("bench.durable", state)
        tell("starting the Prefect server")
        child = start_server(state, os.environ)
        try:
            wait_healthy(state.prefect_api_url, child, tell)
            figures |= measure("bench.traced", state)
        finally:
            stop(child)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
