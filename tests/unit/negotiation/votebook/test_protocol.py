"""Repeated halves: figures, limits, and that nothing is learned from what is measured."""

import random
from collections.abc import Sequence
from dataclasses import astuple, replace
from math import isfinite

import pytest

from negotiation.calibration.cases import Case
from negotiation.learned import Learned
from negotiation.strategies import STRATEGIES
from negotiation.votebook import protocol
from negotiation.votebook.cases import Neutral, cases_of, neutral, options_of
from negotiation.votebook.limits import any_right, best_single, by_reliability
from negotiation.votebook.protocol import Design, examine
from tests.unit.negotiation.votebook.made import Row, book, dense

ALL = tuple(STRATEGIES)


def _one_label() -> list[Row]:
    return [(f"i{item}", name, "x", "", "x") for item in range(20) for name in "ab"]


def _abstaining() -> list[Row]:
    return [(f"i{item}", name, "", "", "x") for item in range(8) for name in "ab"]


SHAPES: dict[str, list[Row]] = {
    "dense": dense(60),
    "sparse": random.Random(3).sample(dense(80, [0.8] * 12), 300),
    "one annotator": dense(40, [0.8]),
    "two items": dense(2),
    "three items": dense(3),
    "one label": _one_label(),
    "only abstentions": _abstaining(),
    "gold never voted for": [(f"i{n}", name, "x", "", "y" if n % 2 else "x") for n in range(30) for name in "abc"],
    "nobody ever right": [(f"i{n}", name, "x", "0", "y") for n in range(12) for name in "ab"],
    "odd labels": dense(40, labels=("007", "a, b", 'sa"y', "très bien", " x")),
    "strangers to the learning half": [(f"i{n}", f"only{n}", "xy"[n % 2], "", "x") for n in range(40)],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_figure_is_a_number_in_range(shape: str) -> None:
    found = examine(book(SHAPES[shape]), Design(ALL, splits=2))
    assert tuple(found.strategies) == ALL
    for figures in found.strategies.values():
        plain = (figures.accuracy, figures.aurc, figures.augrc, figures.coverage_at_5, figures.coverage_at_2)
        bounds = [value for certified in figures.certified.values() for value in astuple(certified)]
        for value in (*plain, figures.accuracy_sd, figures.calibration_error, *bounds):
            assert isfinite(value)
            assert 0.0 <= value <= 1.0
        assert sorted(figures.certified) == [0.05, 0.1, 0.2]
    assert 0.0 <= found.limits.best_single <= found.limits.any_right <= 1.0


def test_the_rows_order_does_not_matter_and_the_seed_does() -> None:
    rows = dense(80)
    design = Design(ALL, splits=2)
    first = examine(book(rows), design)
    assert first == examine(book(random.Random(5).sample(rows, len(rows))), design)
    assert first != examine(book(rows), replace(design, seed=1))


def test_one_good_annotator_is_found_and_certified() -> None:
    rows = dense(800, (0.99, 0.5, 0.5, 0.5, 0.5))
    found = examine(book(rows), Design(("plurality", "log_odds", "calibrated_pool", "lead_decides"), splits=3))
    assert found.limits.best_single == pytest.approx(0.99, abs=0.02)
    assert found.strategies["lead_decides"].accuracy == pytest.approx(found.limits.best_single)
    assert found.strategies["plurality"].accuracy < found.strategies["calibrated_pool"].accuracy - 0.05
    pool = found.strategies["calibrated_pool"]
    assert pool.asked.coverage > 0.2
    assert pool.asked.error <= 0.05
    assert pool.asked == pool.certified[0.05]


def test_another_bound_is_certified_too() -> None:
    figures = examine(book(dense(60)), Design(("plurality",), splits=1, alpha=0.3)).strategies["plurality"]
    assert sorted(figures.certified) == [0.05, 0.1, 0.2, 0.3]
    assert figures.asked == figures.certified[0.3]


def test_parts_are_disjoint_halves_that_hold_everything() -> None:
    items = book(dense(101)).items
    for number in range(3):
        halves = protocol._halves(items, 0, number)
        keys = [item.key for part in halves.parts for item in part]
        assert sorted(keys) == sorted(item.key for item in items)
        assert len(halves.held) == 50
        assert abs(len(halves.fit) - len(halves.certify)) <= 1


def test_nothing_is_learned_outside_the_fit_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gold changed everywhere else leaves what is learned as it was."""
    seen: list[Learned | None] = []

    def watched(options: Sequence[str], cases: Sequence[Case], seed: int) -> Learned | None:
        seen.append(learn(options, cases, seed))
        return seen[-1]

    learn = protocol.learn
    monkeypatch.setattr(protocol, "learn", watched)
    rows = dense(60)
    design = Design(("calibrated_pool",), splits=1)
    examine(book(rows), design)
    fit = {item.key for item in protocol._halves(book(rows).items, design.seed, 0).fit}
    changed = [row if row[0] in fit else (*row[:3], "0.5", "z") for row in rows]
    examine(book(changed), design)
    assert seen[1] == seen[3]
    assert seen[0] != seen[2]


def test_steps_are_counted() -> None:
    design = Design(("plurality", "borda"), splits=2)
    steps: list[None] = []
    examine(book(dense(20)), design, lambda: steps.append(None))
    assert len(steps) == design.steps


def test_one_item_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two"):
        examine(book(dense(1)), Design(ALL))


def test_a_missing_confidence_takes_the_annotators_mean_logit() -> None:
    rows: list[Row] = [("1", "a", "x", "0.2", "x"), ("2", "a", "x", "0.8", "x"), ("3", "a", "x", "", "x")]
    rows += [("1", "b", "x", "0.9", "x"), ("3", "b", "x", "", "x"), ("3", "c", "x", "", "x")]
    items = book(rows).items
    found = neutral(items)
    assert found.by_annotator == pytest.approx({"a": 0.5, "b": 0.9})
    last = cases_of(items, found)[2].votes
    assert [vote.confidence for vote in last] == pytest.approx([0.5, 0.9, found.overall])
    assert neutral(book([("1", "a", "x", "", "x")]).items) == Neutral({}, 0.5)


def test_limits() -> None:
    rows: list[Row] = [("1", "a", "x", "", "x"), ("1", "b", "y", "", "x"), ("2", "b", "y", "", "y")]
    rows += [("3", "a", "", "", "y"), ("3", "b", "y", "", "y"), ("4", "b", "x", "", "y")]
    cases = cases_of(book(rows).items, Neutral({}, 0.5))
    assert any_right(cases) == 0.75
    assert best_single(cases, ("a", "b")) == 0.5
    assert best_single(cases, ("b", "a")) == 0.5
    learned = Learned(1, {"a": 0.4, "b": 0.9}, 0.6)
    assert by_reliability(("a", "b", "c", "d"), learned) == ("b", "c", "d", "a")


def test_two_options_at_least() -> None:
    assert options_of(("x", "y")) == ("x", "y")
    assert len(set(options_of(("x",)))) == 2
    assert len(set(options_of(options_of(("x",))[1:]))) == 2
