"""Strategies on the same blind votes, counted by hand."""

import pytest

from evaluation.compared_blind import BlindChoice, compare_blind, in_words


def _said(leader: str | None, *, decided: bool = False) -> BlindChoice:
    return BlindChoice(leader=leader, decided=decided)


RIGHTS = ["yes", "no", "no", None, "yes"]
BASE = [_said("yes"), _said("yes"), _said("no"), _said("no"), _said("no")]
OTHER = [_said("yes", decided=True), _said("no", decided=True), _said(None), _said("no", decided=True), _said("no")]


def test_figures_by_hand() -> None:
    base, other = compare_blind({"base": BASE, "other": OTHER}, "base", RIGHTS, seed=0)
    assert (base.n, base.ties, base.accuracy.hits) == (4, 0, 2)
    assert base.against is None
    assert (base.certified_coverage.hits, base.certified_error.value) == (0, None)
    # The tie counts as wrong, and the case without an outcome not at all.
    assert (other.n, other.ties, other.accuracy.hits, other.accuracy.n) == (4, 1, 2, 4)
    assert (other.certified_coverage.hits, other.certified_coverage.n, other.certified_error.hits) == (2, 4, 0)
    assert other.against is not None
    assert (other.against.difference.wins, other.against.difference.losses) == (1, 1)


def test_a_certified_error_is_one_of_those_decided() -> None:
    wrong = [_said("no", decided=True), _said("no", decided=True), _said("no"), _said("no"), _said("no")]
    (found,) = compare_blind({"wrong": wrong}, "wrong", RIGHTS, seed=0)
    assert (found.certified_error.hits, found.certified_error.n) == (1, 2)


def test_a_record_that_cannot_be_counted_again_is_no_pair() -> None:
    figures = compare_blind({"base": [None, *BASE[1:]], "other": OTHER}, "base", RIGHTS, seed=0)
    assert figures[0].n == 3
    assert figures[1].n == 4
    assert figures[1].against is not None
    assert figures[1].against.difference.n == 3


def test_those_passed_are_tested_against_nothing_and_blunt_no_other_test() -> None:
    better, worse = [_said("yes")] * 6, [_said("no")] * 6
    choices = {"recorded": worse, "base": worse, "other": better}
    figures = {one.strategy: one for one in compare_blind(choices, "base", ["yes"] * 6, seed=0, passed=("recorded",))}
    assert figures["recorded"].against is None
    other = figures["other"].against
    assert other is not None
    assert other.holm == other.difference.p == pytest.approx(2 / 64)


def test_a_large_p_is_said_to_be_within_noise() -> None:
    figures = compare_blind({"base": BASE, "other": OTHER}, "base", RIGHTS, seed=0)
    (said,) = in_words(figures, "base")
    assert "every strategy differs from base within noise on these 4 cases" in said
    assert "smallest adjusted p = 1" in said
    assert "better than" not in said


def test_a_small_p_is_told_with_its_direction_and_the_rest_is_noise() -> None:
    right, wrong = [_said("yes")] * 20, [_said("no")] * 20
    choices = {"base": wrong, "good": right, "same": wrong}
    told, rest = in_words(compare_blind(choices, "base", ["yes"] * 20, seed=0), "base")
    assert told.startswith("good is better than base by 100.0 points, more than noise explains")
    assert rest.startswith("every other strategy differs from base within noise")
    (told,) = in_words(compare_blind({"base": right, "bad": wrong}, "base", ["yes"] * 20, seed=0), "base")
    assert told.startswith("bad is worse than base by 100.0 points")
    assert "within noise" not in told


def test_without_outcomes_nothing_is_said() -> None:
    figures = compare_blind({"base": BASE, "other": OTHER}, "base", [None] * 5, seed=0)
    assert figures[1].accuracy.value is None
    assert in_words(figures, "base") == []
