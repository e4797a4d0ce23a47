"""What the gate costs of a task of the direct lane: its own time within, and tasks with and without it in turn."""

import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from bench.direct import run_direct, submit
from domain.guard import Effect, Subject, Verdict
from domain.settings import Settings
from domain.task import Lane
from guardrails.gate import CedarGate
from guardrails.looking import Looker
from guardrails.watched import WatchedThread
from orchestration.run import Runtime
from orchestration.wiring import open_runtime

ROUNDS = 24
TASKS = 40


@contextmanager
def watched() -> Iterator[Counter[str]]:
    """Seconds of processor time that the gate takes, on whichever thread, and how many verdicts it gives."""
    spent: Counter[str] = Counter()

    def timed(name: str, method: Any) -> Any:
        def run(*arguments: Any, **more: Any) -> Any:
            started = time.thread_time()
            try:
                return method(*arguments, **more)
            finally:
                spent[name] += time.thread_time() - started  # type: ignore[assignment]
                spent[f"{name}s"] += 1

        return run

    run_there = WatchedThread.run

    async def counted(thread: WatchedThread, job: Any, seconds: float) -> Any:
        spent["hand_offs"] += 1
        return await run_there(thread, job, seconds)

    with (
        patch.object(WatchedThread, "run", counted),
        patch.object(CedarGate, "rule", timed("ruling", CedarGate.rule)),
        patch.object(Looker, "look", timed("look", Looker.look)),
    ):
        yield spent


@contextmanager
def without_gate() -> Iterator[None]:
    """Everything is allowed unseen."""

    async def judge_all(gate: CedarGate, subjects: Sequence[Subject]) -> list[Verdict]:
        hash = gate.policy_hash
        return [
            Verdict(hop=one.hop, effect=Effect.ALLOW, reasons=(), policy_ids=(), policy_hash=hash) for one in subjects
        ]

    with patch.object(CedarGate, "judge_all", judge_all):
        yield


async def share_of_task(hand_off_ms: float) -> dict[str, float]:
    """Milliseconds a task, and the gate's part in them; a hand-off to the filters' thread takes so long."""
    settings = Settings(worker_concurrency=8)
    async with open_runtime(settings) as runtime:
        slices = _Slices(runtime, settings)
        await slices.run()
        found: dict[str, list[float]] = {}

        def note(**figures: float) -> None:
            for name, value in figures.items():
                found.setdefault(name, []).append(value)

        for _ in range(ROUNDS):
            began = time.process_time()
            with watched() as spent:
                note(judged=await slices.run())
            note(cpu=1000 * (time.process_time() - began) / TASKS, verdicts=spent["rulings"] / TASKS)
            note(hand_offs=spent["hand_offs"] / TASKS)
            note(ruling=1000 * spent["ruling"] / TASKS, look=1000 * spent["look"] / TASKS)
            began = time.process_time()
            with without_gate():
                note(bare=await slices.run())
            note(bare_cpu=1000 * (time.process_time() - began) / TASKS)
    figures = {name: statistics.median(values) for name, values in found.items()}
    gate = figures["ruling"] + figures["look"] + figures["hand_offs"] * hand_off_ms
    # In pairs, so that a machine that slows down does not count as the gate's doing.
    more = [one - other for one, other in zip(found["cpu"], found["bare_cpu"], strict=True)]
    return {
        "task_ms": figures["judged"],
        "task_cpu_ms": figures["cpu"],
        "task_without_gate_ms": figures["bare"],
        "task_cpu_more_than_without_gate_ms": statistics.mean(more),
        "task_cpu_more_than_without_gate_error_ms": statistics.stdev(more) / len(more) ** 0.5,
        "task_verdicts": figures["verdicts"],
        "task_policies_cpu_ms": figures["ruling"],
        "task_filters_cpu_ms": figures["look"],
        "task_hand_offs": figures["hand_offs"],
        "task_gate_ms": gate,
        "task_gate_share": gate / figures["judged"],
        "task_gate_share_of_cpu": gate / figures["cpu"],
    }


class _Slices:
    """Rows of the pilot, so many at a time."""

    def __init__(self, runtime: Runtime, settings: Settings) -> None:
        self._runtime, self._settings, self._offset = runtime, settings, 0

    async def run(self) -> float:
        """The next ones; milliseconds a task."""
        task_ids = await submit(self._runtime, self._offset, TASKS, Lane.DIRECT)
        self._offset += TASKS
        return 1000 * await run_direct(self._runtime, self._settings, task_ids) / TASKS
