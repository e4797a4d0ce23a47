"""Which decisions are drawn for an audit."""

import pytest

from tasks.audit import is_drawn


@pytest.mark.parametrize("share", [0.02, 0.25])
def test_about_its_share_is_drawn(share: float) -> None:
    drawn = sum(is_drawn(7, f"task-{number}", "payout", share) for number in range(20_000))
    spread = 4 * (20_000 * share * (1 - share)) ** 0.5
    assert abs(drawn - 20_000 * share) < spread


def test_all_and_none() -> None:
    ids = [f"task-{number}" for number in range(500)]
    assert all(is_drawn(1, one, "payout", 1.0) for one in ids)
    assert not any(is_drawn(1, one, "payout", 0.0) for one in ids)


def test_seed_task_and_subtask_count_and_nothing_else() -> None:
    ids = [f"task-{number}" for number in range(200)]
    once = [is_drawn(1, one, "payout", 0.5) for one in ids]
    assert once == [is_drawn(1, one, "payout", 0.5) for one in ids]
    assert once != [is_drawn(2, one, "payout", 0.5) for one in ids]
    assert once != [is_drawn(1, one, "letter", 0.5) for one in ids]
