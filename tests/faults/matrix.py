"""The matrix of faults as a command: one line for each, and an exit code that says whether every one held.

Each line is a selection of tests that run for real; `python -m tests.faults.matrix` runs them all, and
`python -m tests.faults.matrix WORD` those whose line has the word. Below each line stands which invariants were
checked, and how often: after each test that has a database, on all tasks in it.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from domain.settings import ROOT
from tests.faults.invariants import TOLD

SWEEP = "sweep"
MATRIX: dict[str, Sequence[str]] = {
    "kill a worker in the middle of a batch": ("tests/faults/test_kill_worker.py",),
    "SIGSTOP past the lease, then SIGCONT; inside a transaction too": (
        "tests/faults/test_paused_worker.py",
        "tests/faults/test_stopped_inside.py",
    ),
    "Postgres killed mid-write, its postmaster or a backend inside a commit": ("tests/faults/test_postgres_killed.py",),
    "worker clocks off by an hour, ahead and behind": ("tests/faults/test_clock.py",),
    "disk full": ("tests/faults/test_disk_full.py",),
    "a task that kills its worker three times, or fails five times": (
        "tests/faults/test_poison.py",
        "tests/integration/test_failed_runs.py",
    ),
    "cancel, pause and resume at every step; cancel, resume, approve at once; a call that does not end": (
        "tests/faults/test_control.py",
        "tests/faults/test_cut_off.py",
    ),
    "duplicate submit, same and other body": ("tests/faults/test_duplicates.py",),
    "duplicate, late, own, stale approvals; fifty at once": (
        "tests/faults/test_approvals_race.py",
        "tests/integration/test_cli_inbox.py",
        "tests/integration/test_quorum.py",
        "tests/integration/test_answer_bound.py",
        "tests/integration/test_escalation.py",
    ),
    "a worker killed between writing a notice and sending it; a webhook that fails": (
        "tests/faults/test_notices.py",
        "tests/integration/test_notices.py",
    ),
    "LLM time-out, garbage, 429, NaN confidence": ("tests/faults/test_llm_faults.py",),
    "Prefect server killed and started again, away, and in disagreement with the rows": (
        "tests/faults/test_prefect_away.py",
        "tests/faults/test_prefect_disagrees.py",
    ),
    "memory away": (
        "tests/faults/test_memory_away.py",
        "tests/unit/memory/test_recall.py",
        "tests/integration/test_recall.py",
    ),
    "poison payloads and answers": (
        "tests/faults/test_poison_payloads.py",
        "tests/unit/domain/test_strict_json.py",
        "tests/unit/catalog/test_payloads.py",
    ),
    "a loop that is blocked and a row that is locked: leases stand": ("tests/integration/test_heartbeat.py",),
    "deadlines, their outcomes, limits": (
        "tests/integration/test_deadlines.py",
        "tests/integration/test_retried.py",
        "tests/integration/test_limits.py",
    ),
    "a target that fails, refuses, answers too late; breakers and fallbacks": (
        "tests/integration/test_breaker.py",
        "tests/integration/test_webhook.py",
    ),
    "kill -9 around the call of each kind of target, and around each undoing: exactly once": (
        "tests/faults/test_killed_acting.py",
        "tests/integration/test_exactly_once.py",
        "tests/integration/test_rollback.py",
    ),
    "audit edited, cut in the middle, cut at the tail": (
        "tests/faults/test_audit_commands.py",
        "tests/integration/test_audit_chain.py",
    ),
    "a person erased from everything that is kept, and nobody else": (
        "tests/integration/test_erase.py",
        "tests/integration/test_erase_others.py",
    ),
    "named kill points": ("tests/faults/test_kill_points.py",),
    "kill -9 before, inside and after each node": (SWEEP,),
    "two workers resume one task; one is left over behind its end": (
        "tests/faults/test_two_workers.py",
        "tests/integration/test_fenced_checkpoints.py",
        "tests/integration/test_ended_task.py",
    ),
    "the stack killed in pieces and as a whole": ("tests/integration/test_local_stack.py",),
}
NOT_RUN = {"checkpoints of earlier releases": "there is no earlier release"}
_LINE_SECONDS = 900


def main(words: Sequence[str]) -> int:
    """Run every line, or those with one of the words."""
    begun = time.monotonic()
    wrong = ran = 0
    for name, tests in MATRIX.items():
        if words and not any(word.lower() in name.lower() for word in words):
            continue
        outcome = _line(name, tests)
        ran += outcome != "not run"
        wrong += outcome == "BROKEN"
    for name, why in NOT_RUN.items():
        sys.stdout.write(f"not run {name}: {why}\n")
    sys.stdout.write(f"{ran - wrong} of {ran} held ({time.monotonic() - begun:.0f} s)\n")
    return 1 if wrong else 0


def _line(name: str, tests: Sequence[str]) -> str:
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told"
        told.touch()
        held, said, output = _sweep() if tests == (SWEEP,) else _pytest(tests, told)
        checked = Counter(told.read_text().splitlines())
    skipped = re.findall(r"^SKIPPED .*?: (.*)$", output, re.MULTILINE)
    outcome = "BROKEN" if not held else "not run" if skipped and "passed" not in said else "held"
    why = f" ({'; '.join(skipped)})" if skipped else ""
    _say(f"{outcome:7} {name}: {said}{why} ({time.monotonic() - begun:.0f} s)")
    for invariant, times in checked.items():
        state, _, what = invariant.partition(" ")
        if state != "tasks":
            _say(f"        {state} {times} x: {what}")
    if not held:
        _say(output[-6000:])
    return outcome


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _pytest(tests: Sequence[str], told: Path) -> tuple[bool, str, str]:
    there = [test for test in tests if (ROOT / test).exists()]
    if len(there) < len(tests):
        return False, f"there is no {', '.join(set(tests) - set(there))}", ""
    options = ("-p", "no:cacheprovider", "-p", "tests.faults.held", "-rs", "--tb=short")
    return _run({TOLD: str(told)}, "pytest", *options, *there)


def _sweep() -> tuple[bool, str, str]:
    return _run({}, "control_plane.cli.main", "sweep", "credit_review", "--times", "1")


def _run(more: dict[str, str], module: str, *arguments: str) -> tuple[bool, str, str]:
    command = [sys.executable, "-m", module, *arguments]
    env = {**os.environ, "PARLEY_FAULTS": "full", **more}
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=_LINE_SECONDS
        )
    except subprocess.TimeoutExpired:
        return False, f"did not end in {_LINE_SECONDS} s", ""
    output = done.stdout + done.stderr
    summary = re.findall(r"^(\d+ (?:passed|failed|skipped|kills).*)$", done.stdout, re.MULTILINE)
    return done.returncode == 0, summary[-1] if summary else f"exit code {done.returncode}", output


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
