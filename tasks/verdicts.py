"""A verdict as its row."""

from typing import Any

from domain.guard import Verdict


def verdict_row(task_id: str, key: str, verdict: Verdict, subtask_id: str | None = None) -> dict[str, Any]:
    """The `verdicts` row; `key` makes it once for its place in the task."""
    return {
        "task_id": task_id,
        "key": key,
        "subtask_id": subtask_id,
        "hop": verdict.hop.value,
        "effect": verdict.effect.value,
        "policy_ids": list(verdict.policy_ids),
        "policy_hash": verdict.policy_hash,
        # Latencies differ from run to run; the record of a verdict must not.
        "body": verdict.model_dump(mode="json", exclude={"findings": {"__all__": {"latency_ms"}}}),
    }
