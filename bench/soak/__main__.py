"""`python -m bench.soak`: submits at an even rate while Postgres and a worker are killed again and again."""

import argparse
import asyncio
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.soak import judge, load
from bench.soak.load import Load, Submitter
from bench.soak.parts import Stack, at_work, stack
from bench.soak.variants import CALLED, CASES, PILOT, write_catalog
from catalog.cases import read_cases
from catalog.load import load_catalog
from control_plane.services import audit
from storage.engine import async_engine
from tasks.executors import EXECUTORS
from tests.fakes.target import FakeTarget, fake_target

CALLED_SHARE = 0.3
DRAIN_SECONDS = 180.0


def tell(said: str) -> None:
    """Progress."""
    print(said, file=sys.stderr, flush=True)


async def soak(made: Stack, catalog: Path, target: FakeTarget, options: argparse.Namespace) -> dict[str, Any]:
    """Load and faults for so long, then the drain, then the judgement."""
    kept = Load(made.home / "acknowledged.jsonl")
    loaded = load_catalog(catalog, EXECUTORS)
    kinds = [loaded.task_type(name) for name in (PILOT, CALLED)]
    cases = read_cases(kinds[0], CASES).cases
    engine = async_engine(made.dsn, size=8)
    lots = [random.Random(f"{options.seed}:{name}") for name in ("mix", "postgres", "repeats")]
    wanted = load.mixed(kinds, cases, options.traced_share, CALLED_SHARE, lots[0])
    begin = time.monotonic()
    until = begin + 60 * options.minutes
    standing = [
        asyncio.create_task(load.answer(engine, kept)),
        asyncio.create_task(load.anchor(engine, made.home)),
        asyncio.create_task(load.supervise(made, _teller(made, kept, begin))),
    ]
    try:
        await asyncio.gather(
            Submitter(made, engine, kept, lots[2]).run(wanted, options.rate, until),
            load.kill_postgres(made, lots[1], until),
            load.kill_worker(made, until),
        )
        tell(f"the faults have stopped; {len(kept.acknowledged)} submits acknowledged")
        drained = await _drain(made.dsn, standing)
        found = await audit.verify(engine, made.home, None, None)
    finally:
        for one in standing:
            one.cancel()
        await asyncio.gather(*standing, return_exceptions=True)
        await engine.dispose()
    return _told(made, kept, target, found, {"drain_s": round(drained, 1)})


def _teller(made: Stack, kept: Load, begin: float) -> Callable[[], None]:
    last = [begin]

    def tell_so() -> None:
        now = time.monotonic()
        if now - last[0] >= 20:
            last[0] = now
            kills = sum(worker.kills for worker in made.workers)
            tell(
                f"{now - begin:4.0f} s: {len(kept.acknowledged)} submits, {made.database.kills} outages, {kills} kills"
            )

    return tell_so


async def _drain(dsn: str, standing: list[asyncio.Task[None]]) -> float:
    """Until every task has ended or is parked; how long that took."""
    begin = time.monotonic()
    while (left := await asyncio.to_thread(judge.unsettled, dsn)) and time.monotonic() - begin < DRAIN_SECONDS:
        for one in standing:
            if one.done():
                one.result()
        await asyncio.sleep(1.0)
    if left:
        tell(f"{left} tasks have neither ended nor been parked after {DRAIN_SECONDS:.0f} s")
    return time.monotonic() - begin


def _told(made: Stack, kept: Load, target: FakeTarget, found: audit.Verified, more: dict[str, Any]) -> dict[str, Any]:
    tasks = judge.load_tasks(made.dsn)
    violations = judge.judge(kept, tasks, Counter(target.effects))
    violations += [f"the audit: task {one.task_id}: {one}" for one in found.problems]
    memory = {}
    for worker in made.workers:
        memory[worker.name], grown = judge.memory_of(worker)
        violations += grown
    ended = [pid for worker in made.workers for pid in worker.ended]
    if died := at_work(made.dsn, ended):
        violations.append(f"{died} workers ended in the midst of their work, though nobody had killed them")
    database, outages = made.database, [back - gone for gone, back in made.database.outages]
    done = [row for row in tasks if row["status"] == "done"]
    return {
        "submits": len(kept.wanted),
        "acknowledged": len(kept.acknowledged),
        "repeated_submits": kept.repeats,
        "submit_errors_while_postgres_was_up": dict(kept.errors),
        "postgres_kills": database.kills,
        "outage_seconds": {"sum": round(sum(outages), 1), **judge.spread(outages)},
        "worker_kills": sum(worker.kills for worker in made.workers),
        "workers_ended_while_starting": len(ended) - died,
        "prefect_restarts": {"ended": made.prefect.ended, "hung": made.prefect.hung},
        "prefect_flow_runs": judge.flow_runs(made.database.cluster.dsn("prefect")),
        "tasks": dict(Counter(f"{row['lane']} {row['status']}" for row in tasks)),
        "answers_of_the_person": kept.answered,
        "effects_in_records": sum(row["records"] for row in tasks),
        "effects_at_target": len(target.effects),
        "requests_at_target": len(target.requests),
        "actions_sent_again": sum((row["attempts"] or 0) > 1 for row in tasks),
        "claims_more_than_one": sum(row["fence"] > 1 for row in tasks),
        "crashes_highest": max((row["crashes"] for row in tasks), default=0),
        "quarantined": sum(row["status"] == "quarantined" for row in tasks),
        "failed_runs": judge.failed_runs(made.dsn),
        "submit_seconds": judge.spread(kept.seconds),
        **{f"{lane}_task_seconds": _seconds(done, lane) for lane in ("direct", "traced")},
        "memory": memory,
        "audit": {"tasks": found.tasks, "entries": found.entries, "anchor": found.anchor, "holds": found.holds},
        "load_average": [round(one, 1) for one in os.getloadavg()],
        **more,
        "violations": violations,
    }


def _seconds(done: list[dict[str, Any]], lane: str) -> dict[str, float]:
    return judge.spread([float(row["seconds"]) for row in done if row["lane"] == lane])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=2.0, help="submits a second")
    parser.add_argument("--traced-share", type=float, default=0.1)
    parser.add_argument("--logs", type=Path, help="a folder that logs are copied to")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> int:
    """Print the figures; exit code 1 where something did not hold."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="parley-soak-") as folder, fake_target() as target:
        home = Path(folder)
        catalog = write_catalog(home / "catalog", target.parameters())
        try:
            with stack(home, catalog, random.Random()) as made:
                figures = asyncio.run(soak(made, catalog, target, options))
        finally:
            if options.logs is not None:
                shutil.copytree(home / "logs", options.logs, dirs_exist_ok=True)
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        for name, value in figures.items():
            if name != "violations":
                print(f"{name}: {value}")
    for violation in figures["violations"]:
        tell(f"VIOLATION: {violation}")
    tell("everything held" if not figures["violations"] else f"{len(figures['violations'])} violations")
    return 1 if figures["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
