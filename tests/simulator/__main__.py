"""`python -m tests.simulator --histories 1000 [--seed N] [--json] [--verbose]`: exits 1 where an invariant broke."""

import os

os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"
os.environ.setdefault("LANGSMITH_TRACING", "false")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import asyncio
import json
import logging
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from deployments.postgres import start_postgres
from tests.simulator.play import play_all
from tests.simulator.stage import make_database


def _play(dsn: str, seeds: list[int], keep_going: bool, verbose: bool) -> list[dict[str, Any]]:
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        played = asyncio.run(play_all(dsn, Path(folder), seeds, keep_going=keep_going))
    return [one.as_json(lines=verbose or bool(one.broken)) for one in played]


def main() -> int:
    """Play, and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--histories", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=None, help="play this one alone, or start from here")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--keep-going", action="store_true", help="play on after a broken invariant")
    parser.add_argument("--verbose", action="store_true", help="print every history")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    first = given.seed if given.seed is not None else 1
    seeds = list(range(first, first + given.histories))
    jobs = max(1, min(given.jobs, len(seeds)))
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        server = start_postgres(Path(folder), None)
        try:
            dsns = [make_database(server.dsn, f"simulator_{number}") for number in range(jobs)]
            with ProcessPoolExecutor(jobs) as pool:
                parts = [
                    pool.submit(_play, dsn, seeds[number::jobs], given.keep_going, given.verbose)
                    for number, dsn in enumerate(dsns)
                ]
                played = sorted((one for part in parts for one in part.result()), key=lambda one: one["seed"])
        finally:
            server.discard()
    return _report(played, time.perf_counter() - began, as_json=given.json)


def _report(played: list[dict[str, Any]], seconds: float, *, as_json: bool) -> int:
    failed = [one for one in played if one["broken"]]
    if as_json:
        told = {"histories": len(played), "failed": [one["seed"] for one in failed], "seconds": round(seconds, 1)}
        sys.stdout.write(json.dumps({**told, "played": [one for one in played if one["lines"]]}) + "\n")
        return int(bool(failed))
    for one in (one for one in played if one["lines"]):
        sys.stdout.write(f"seed {one['seed']}\n" + "".join(f"{line}\n" for line in one["lines"]))
        sys.stdout.write("".join(f"BROKEN {line}\n" for line in one["broken"]))
    for one in failed:
        sys.stdout.write(f"failed: seed {one['seed']}: {'; '.join(one['broken'])}\n")
        sys.stdout.write(f"  replay: python -m tests.simulator --histories 1 --seed {one['seed']} --verbose\n")
    ends: dict[str, int] = {}
    for one in played:
        ends[one["end"]] = ends.get(one["end"], 0) + 1
    sys.stdout.write(f"{len(played)} histories in {seconds:.0f} s, {len(failed)} failed; ends: {ends}\n")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
