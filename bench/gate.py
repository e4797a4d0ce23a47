"""What the gate costs: verdicts a second beside bare Cedar, each filter, the hand-off, its share of a direct-lane task.

The last line is JSON. Times are medians of repeated runs in one process, taken in turn.
"""

import asyncio
import json
import os
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import cedarpy

from bench.gate_task import share_of_task
from bench.lanes import stack, tell, variables
from catalog.load import load_catalog
from domain.guard import Finding, Hop, Subject
from domain.ports import Guard, Preparing
from domain.settings import ROOT
from domain.task_type import TaskType
from guardrails.gate import PLATFORM, CedarGate, load_gate
from guardrails.looking import reads
from guardrails.ruling import request_of
from guardrails.watched import WatchedThread
from tasks.executors import EXECUTORS

PILOT = "credit_review"
SIZES = (20, 200)
CHARACTERS = 1024
TEXTS = 400
AT_ONCE = 8
ROUNDS = 5
SEED = 11

PERMIT = '@id("PERMIT") permit (principal, action, resource);\n'
FORBID = (
    '@id("LIMIT-{number:03d}") @effect("require_approval") @reason("A limit that is not reached") @owner("bench")\n'
    'forbid (principal, action == Action::"arguments", resource)\n'
    'when {{ context.action == "approve" && context.stake_cents > {limit} && !context.approved }};\n'
)

FACTS = {
    "subtask": "affordability",
    "action": "approve",
    "arguments": {},
    "risk": "low",
    "side_effect": True,
    "reason_count": 4,
    "explained": True,
    "margin_bp": 7400,
    "rounds": 1,
    "strategy": "confidence_weighted",
    "result": "decided",
    "memory_degraded": False,
    "approved": False,
    "edited": False,
    "tainted": False,
    "provenance": ["fields", "memory", "catalog"],
}


def texts(count: int, seed: int) -> list[str]:
    """Distinct texts of 1 KB, of the words of the project's own pages."""
    generator = random.Random(seed)
    words = re.findall(r"[A-Za-z][a-z]+", "\n".join(page.read_text() for page in sorted((ROOT / "docs").glob("*.md"))))
    made = []
    for number in range(count):
        said = f"case {number}"
        while len(said) < CHARACTERS:
            said += f" {generator.choice(words)}"
        made.append(said[:CHARACTERS])
    return made


class Everywhere:
    """A filter that stands at every hop, so that one verdict has had all of them."""

    hops: frozenset[Hop] = frozenset(Hop)

    def __init__(self, guard: Guard) -> None:
        self.id, self.version, self._guard = guard.id, guard.version, guard

    def prepare(self) -> None:
        """As the filter does."""
        if isinstance(self._guard, Preparing):
            self._guard.prepare()

    def check(self, subject: Subject) -> Finding | None:
        """As the filter does."""
        return self._guard.check(subject)


def gate_of(kind: TaskType, folder: Path, size: int) -> CedarGate:
    """The platform's policies, one permit, and limits up to so many policies, none of which is reached.

    Every filter that the task type has chosen and that reads by itself stands at every hop.
    """
    file = folder / f"{size}.cedar"
    known = len(load_gate(kind, [PLATFORM]).policies.by_id)
    limits = range(size - known - 1)
    file.write_text(PERMIT + "".join(FORBID.format(number=number, limit=10**9 + number) for number in limits))
    loaded = load_gate(kind, [PLATFORM, file])
    assert len(loaded.policies.by_id) == size
    guards = {name: Everywhere(guard) for name, guard in loaded.guards.items() if reads(guard) and guard.hops}
    return CedarGate(loaded.task_type, loaded.policies, guards)


def subjects(said: Sequence[str], stake: int) -> list[Subject]:
    """An action to be judged over each text; the amounts differ, as from task to task."""
    payload = {"Records": "no", "Home": "owner", "Job": "fixed", "Expenses": 60.0, "Time": 36, "Income": 220.0}
    return [
        Subject(
            hop=Hop.ARGUMENTS,
            text=text,
            facts={**FACTS, "stake_cents": stake + number, "payload": {**payload, "Amount": (stake + number) / 100}},
        )
        for number, text in enumerate(said)
    ]


async def in_turn(work: Callable[[Subject], Awaitable[object]], given: Sequence[Subject]) -> float:
    """Per second, so many at once as a worker's slots."""
    left = iter(given)

    async def slot() -> None:
        for one in left:
            await work(one)

    started = time.perf_counter()
    await asyncio.gather(*(slot() for _ in range(AT_ONCE)))
    return len(given) / (time.perf_counter() - started)


def bare(gate: CedarGate, given: Sequence[Subject]) -> float:
    """Cedar alone on the same requests, one a call; per second."""
    schema = gate.policies.schema
    requests = [request_of(gate.policies, gate.task_type, one, ()) for one in given]
    started = time.perf_counter()
    for request in requests:
        cedarpy.is_authorized_batch([request], gate.policies.parsed, schema.entities, schema.parsed)
    return len(given) / (time.perf_counter() - started)


async def verdicts(kind: TaskType, folder: Path) -> dict[str, float]:
    """Per second by number of policies: distinct texts, the same again, and bare Cedar."""
    found: dict[str, list[float]] = {}
    gates = {size: gate_of(kind, folder, size) for size in SIZES}
    for turn in range(ROUNDS):
        for size, gate in gates.items():
            # A filter may remember texts beyond its gate: no two runs have one in common.
            fresh = subjects(texts(TEXTS, SEED + 1000 * size + turn), 10_000 * (turn + 1))
            found.setdefault(f"bare_cedar_{size}", []).append(bare(gate, fresh))
            if not turn:
                await gate.judge(fresh[0])
            found.setdefault(f"verdicts_{size}", []).append(await in_turn(gate.judge, fresh))
            found.setdefault(f"cached_{size}", []).append(await in_turn(gate.judge, fresh))
    return {name: statistics.median(values) for name, values in found.items()}


def filters(gate: CedarGate) -> dict[str, float]:
    """Milliseconds of processor time of each filter on 1 KB."""
    found = {}
    for name, guard in gate.guards.items():
        assert isinstance(guard, Everywhere)
        guard.prepare()
        runs = []
        for turn in range(ROUNDS):
            given = [Subject(hop=Hop.ARGUMENTS, text=text) for text in texts(TEXTS // 4, 100 + turn)]
            started = time.thread_time()
            for one in given:
                guard.check(one)
            runs.append(1000 * (time.thread_time() - started) / len(given))
        found[f"filter_{name}_ms"] = statistics.median(runs)
    return found


async def hand_off() -> float:
    """Milliseconds of a job that does nothing, to the filters' thread and back."""
    thread, runs = WatchedThread(), []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(TEXTS):
            await thread.run(lambda: None, 5.0)
        runs.append(1000 * (time.perf_counter() - started) / TEXTS)
    return statistics.median(runs)


def policies_alone(gate: CedarGate) -> float:
    """Milliseconds of processor time of the policies' part: the request, Cedar, the digest of what was judged."""
    runs = []
    for turn in range(ROUNDS):
        given = subjects(texts(TEXTS, 200 + turn), 20_000 * (turn + 1))
        started = time.thread_time()
        for one in given:
            gate.rule(one, ())
        runs.append(1000 * (time.thread_time() - started) / len(given))
    return statistics.median(runs)


async def _measured(kind: TaskType, folder: Path) -> dict[str, float]:
    tell("verdicts beside bare Cedar")
    found = await verdicts(kind, folder)
    tell("each filter")
    gate = gate_of(kind, folder, SIZES[0])
    return {**found, **filters(gate), "policies_ms": policies_alone(gate), "hand_off_ms": await hand_off()}


def main() -> None:
    """Print the figures."""
    kind = load_catalog(ROOT / "pilots", EXECUTORS).task_type(PILOT)
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as name:
        folder = Path(name)
        figures = asyncio.run(_measured(kind, folder))
        tell("the gate within tasks of the direct lane")
        with stack(folder / "stack") as state:
            os.environ.update(variables(state))
            figures |= asyncio.run(share_of_task(figures["hand_off_ms"]))
    sys.stdout.write(json.dumps({name: round(value, 3) for name, value in figures.items()}) + "\n")


if __name__ == "__main__":
    main()
