"""Which rows the next demo takes."""

from typing import Any

from control_plane.services.demo import DemoPeriod, next_offset, next_period, worth_explaining


def _batch(id: str, lane: str, rows: int, bad: int = 0, resolved: int = 0) -> dict[str, Any]:
    return {"id": id, "lane": lane, "rows": rows, "bad": [{}] * bad, "resolved": resolved}


def test_the_first_demo_has_no_reference() -> None:
    assert next_period([], 300, 5, 305) == DemoPeriod(1, 0, 300, 5, [])


def test_the_next_one_goes_on_behind_and_compares_with_the_one_before() -> None:
    earlier = [
        _batch("a", "direct", 300, resolved=300),
        _batch("b", "traced", 5, resolved=5),
        _batch("c", "direct", 298, bad=2, resolved=298),
        _batch("d", "traced", 5, resolved=5),
    ]
    assert next_offset(earlier) == 610
    assert next_period(earlier, 300, 5, 305) == DemoPeriod(3, 610, 300, 5, ["c", "d"])


def test_a_demo_that_was_broken_off_is_no_reference() -> None:
    earlier = [
        _batch("a", "direct", 300, resolved=300),
        _batch("b", "traced", 5, resolved=5),
        _batch("c", "direct", 300),
    ]
    assert next_period(earlier, 300, 5, 305) == DemoPeriod(3, 605, 300, 5, ["a", "b"])


def test_at_the_end_it_takes_what_is_left() -> None:
    assert next_period([], 300, 5, 100) == DemoPeriod(1, 0, 95, 5, [])
    assert next_period([], 300, 5, 3) == DemoPeriod(1, 0, 0, 3, [])
    assert next_period([], 300, 5, 0) is None


def test_what_is_explained_came_to_an_answer() -> None:
    parked = {"id": "p", "answer": None}
    assert worth_explaining([{"id": "a", "answer": "approve"}, {"id": "b", "answer": "decline"}, parked]) == {
        "id": "b",
        "answer": "decline",
    }
    assert worth_explaining([parked]) is None


def test_a_second_phase_is_the_next_period_and_the_next_demo_goes_on_behind_it() -> None:
    first = [_batch("a", "direct", 300, resolved=300), _batch("b", "traced", 5, resolved=5)]
    assert next_period(first, 300, 0, 300) == DemoPeriod(2, 305, 300, 0, ["a", "b"])
    second = [*first, _batch("c", "direct", 300, resolved=300)]
    assert next_period(second, 300, 5, 305) == DemoPeriod(3, 605, 300, 5, ["c"])
    assert next_period([*second, _batch("d", "direct", 2395, resolved=2395)], 300, 0, 0) is None
