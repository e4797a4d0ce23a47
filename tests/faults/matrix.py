"""The matrix of faults as a command: one line for each, and an exit code that says whether every one held.

Each line is a selection of tests that run for real; `python -m tests.faults.matrix` runs them all.
"""

import re
import subprocess
import sys
import time
from collections.abc import Sequence

from domain.settings import ROOT

SWEEP = "sweep"
MATRIX: dict[str, Sequence[str]] = {
    "kill -9 before, inside and after each node": (SWEEP,),
    "kill a worker in the middle of a batch": ("tests/faults/test_kill_worker.py",),
    "two workers resume one task": ("tests/faults/test_two_workers.py", "tests/integration/test_fenced_checkpoints.py"),
    "a task that kills its worker three times": ("tests/faults/test_poison.py",),
    "cancel, pause and resume at every step; cancel, resume, approve at once": ("tests/faults/test_control.py",),
    "duplicate, late, own, stale approvals; twenty at once": (
        "tests/faults/test_approvals_race.py",
        "tests/integration/test_cli_inbox.py",
    ),
    "LLM time-out, garbage, 429, NaN confidence": ("tests/faults/test_llm_faults.py",),
    "Prefect or Postgres killed and started again": ("tests/integration/test_local_stack.py",),
    "memory away": ("tests/unit/memory/test_recall.py", "tests/integration/test_recall.py"),
    "poison payloads and answers": ("tests/unit/domain/test_strict_json.py", "tests/unit/catalog/test_payloads.py"),
    "exactly once for each kind of target": ("tests/integration/test_exactly_once.py",),
    "audit edited, cut in the middle, cut at the tail": ("tests/integration/test_audit_chain.py",),
    "named kill points": ("tests/faults/test_kill_points.py",),
}
NOT_RUN = {
    "SIGSTOP past the lease, then SIGCONT": "no test yet",
    "Postgres killed while a transaction commits": "no test yet",
    "worker clock off by an hour": "no test yet; no statement takes a worker's clock for a lease or a deadline",
    "disk full": "no test yet",
    "checkpoints of earlier releases": "there is no earlier release",
}


def main() -> int:
    """Run every line."""
    wrong = 0
    for name, tests in MATRIX.items():
        begun = time.monotonic()
        held, told = _sweep() if tests == (SWEEP,) else _pytest(tests)
        wrong += not held
        sys.stdout.write(f"{'held  ' if held else 'BROKEN'} {name}: {told} ({time.monotonic() - begun:.0f} s)\n")
        sys.stdout.flush()
    for name, why in NOT_RUN.items():
        sys.stdout.write(f"not run {name}: {why}\n")
    sys.stdout.write(f"{len(MATRIX) - wrong} of {len(MATRIX)} held\n")
    return 1 if wrong else 0


def _pytest(tests: Sequence[str]) -> tuple[bool, str]:
    there = [test for test in tests if (ROOT / test).exists()]
    if len(there) < len(tests):
        return False, f"there is no {', '.join(set(tests) - set(there))}"
    return _run("pytest", "-p", "no:cacheprovider", *there)


def _sweep() -> tuple[bool, str]:
    return _run("control_plane.cli.main", "sweep", "credit_review", "--times", "1")


def _run(module: str, *arguments: str) -> tuple[bool, str]:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    summary = re.findall(r"^(\d+ (?:passed|failed|kills).*)$", done.stdout, re.MULTILINE)
    if done.returncode != 0:
        sys.stdout.write(done.stdout[-3000:] + done.stderr[-1000:])
    return done.returncode == 0, summary[-1] if summary else f"exit code {done.returncode}"


if __name__ == "__main__":
    sys.exit(main())
