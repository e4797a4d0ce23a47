"""Floors and ceilings: made from figures, stored, and missed."""

from pathlib import Path

import pytest

from domain.errors import CatalogError
from guardrails.redteam.baseline import (
    FILE,
    Baseline,
    Counted,
    load_baseline,
    made_from,
    regressions,
    save_baseline,
)
from guardrails.redteam.corpus import read_corpus, shipped_files
from guardrails.redteam.scenarios import PILOT


def _attacks(caught: int, n: int = 100, source: str = "a") -> Counted:
    return Counted(source=source, attack=True, n=n, caught=caught)


def _harmless(caught: int, n: int = 100, source: str = "h") -> Counted:
    return Counted(source=source, attack=False, n=n, caught=caught)


def test_a_baseline_leaves_room_for_one_text_or_two_in_a_hundred() -> None:
    made = made_from([_attacks(80), _attacks(9, 10, "small"), _harmless(1), _harmless(0, 10, "few")])
    assert made.floors == {"a": 0.78, "small": 0.8}
    assert made.ceilings == {"h": 0.03, "few": 0.1}
    assert made.false_alarms == pytest.approx(1 / 110 + 0.02, abs=1e-4)


def test_others_of_before_are_kept() -> None:
    before = Baseline(floors={"old": 0.5, "a": 0.1}, ceilings={"old_h": 0.2}, false_alarms=0.07)
    made = made_from([_attacks(80)], before)
    assert (made.floors, made.ceilings, made.false_alarms) == ({"old": 0.5, "a": 0.78}, {"old_h": 0.2}, 0.07)


def test_what_is_missed_is_told_by_source_and_by_how_much() -> None:
    baseline = Baseline(floors={"a": 0.8, "b": 0.5}, ceilings={"h": 0.05}, false_alarms=0.03)
    found = regressions([_attacks(75), _attacks(50, source="b"), _harmless(6), _attacks(0, source="new")], baseline)
    assert [one.told() for one in found] == [
        "a: recall 75.0%, 5.0 points under the limit of 80.0%",
        "h: false alarms 6.0%, 1.0 points over the limit of 5.0%",
        "all: false alarms 6.0%, 3.0 points over the limit of 3.0%",
    ]


def test_at_the_limit_nothing_is_missed() -> None:
    baseline = Baseline(floors={"a": 0.75}, ceilings={"h": 0.06}, false_alarms=0.06)
    assert regressions([_attacks(75), _harmless(6), _harmless(90, source="unknown")], baseline) == ()


def test_it_is_stored_beside_those_of_other_types(tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    assert load_baseline("one", file) is None
    save_baseline("one", made_from([_attacks(80)]), file)
    save_baseline("two", made_from([_harmless(1)]), file)
    one, two = load_baseline("one", file), load_baseline("two", file)
    assert one is not None
    assert two is not None
    assert (one.floors, two.ceilings) == ({"a": 0.78}, {"h": 0.03})


@pytest.mark.parametrize("content", ["[]", "{", '{"one": {"floors": 1}}', '{"one": {"unknown": 1}}'])
def test_a_broken_file_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "baseline.json"
    file.write_text(content)
    with pytest.raises(CatalogError, match=r"baseline\.json"):
        load_baseline("one", file)


def test_the_shipped_one_is_of_the_shipped_texts() -> None:
    baseline = load_baseline(PILOT, FILE)
    assert baseline is not None
    texts = read_corpus(shipped_files())
    assert baseline.floors.keys() == {text.source for text in texts if text.attack}
    assert baseline.ceilings.keys() == {text.source for text in texts if not text.attack}
    assert baseline.false_alarms <= 0.1
