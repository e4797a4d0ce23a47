"""The pool's fit: its gradient, what it recovers, and what must not upset it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from domain.calibration import Pool, PoolWeight
from negotiation.calibration.cases import Case
from negotiation.calibration.fit import fit_learned
from negotiation.calibration.panel import Floats, panel_of, shuffled
from negotiation.calibration.pool import RIDGES, _centres, _held_out, _problem, _rates, fit_pool, objective
from negotiation.calibration.reliability import Records, reliabilities
from negotiation.calibration.scoring import score_cases
from negotiation.calibration.selective import accuracy
from negotiation.calibration.simulated import correlated, draw, independent, miscalibrated
from negotiation.learned import Learned
from negotiation.strategies import STRATEGIES
from negotiation.strategies.log_odds import log_odds
from negotiation.strategy import Count, NoParameters
from negotiation.votes import Vote

RATES = (0.85, 0.7, 0.6, 0.5)
ABC = ("a", "b", "c")


def _fit(cases: Sequence[Case], options: Sequence[str], ridge: float | None = None, seed: int = 1) -> Pool:
    return fit_pool(cases, options, reliabilities(cases, len(options)), seed, ridge)


def _count(pool: Pool, votes: Sequence[Vote], options: Sequence[str]) -> Count:
    return STRATEGIES["calibrated_pool"].count(votes, options, NoParameters(), Learned(1, {}, 0.5, pool))


def _loss(pool: Pool, cases: Sequence[Case], options: Sequence[str]) -> float:
    counts = [(_count(pool, case.votes, options).posterior or {}, case.right) for case in cases]
    return float(-np.mean([np.log(posterior[right]) for posterior, right in counts]))


def _case(key: int, right: str, *votes: tuple[str, str | None, float]) -> Case:
    return Case(f"{key}", tuple(Vote(persona, option, confidence, 0) for persona, option, confidence in votes), right)


def _without_some(cases: Sequence[Case], seed: int) -> list[Case]:
    """A crowd: each case keeps a few of its votes, and a few abstain."""
    rng = np.random.default_rng(seed)
    kept = []
    for case in cases:
        votes = [vote for vote in case.votes if rng.random() < 0.3]
        kept.append(replace(case, votes=tuple(replace(v, option=None) if rng.random() < 0.1 else v for v in votes)))
    return kept


def test_the_gradient_is_that_of_finite_differences() -> None:
    rng = np.random.default_rng(3)
    drawn = draw(correlated((0.8, 0.6, 0.5, 0.4, 0.3), 6), 60, rng)
    cases = [*_without_some(drawn.cases, 3), _case(1, drawn.options[0], ("p0", drawn.options[1], 0.9))]
    personas = sorted({vote.persona for case in cases for vote in case.votes})
    panel = panel_of(shuffled(cases, 0), drawn.options, personas)
    problem = _problem(panel, 6, _centres(panel)[0])
    theta = rng.normal(0.0, 0.5, 2 + 2 * len(personas))
    _, gradient = objective(theta, problem, 2.0)
    steps = 1e-6 * np.eye(len(theta))
    found = [
        (objective(theta + step, problem, 2.0)[0] - objective(theta - step, problem, 2.0)[0]) / 2e-6 for step in steps
    ]
    assert gradient == pytest.approx(np.asarray(found), abs=1e-5)


def test_what_is_fitted_is_what_decides() -> None:
    """The fit and the strategy score alike: no sign, centre or option without a vote is read differently."""
    rng = np.random.default_rng(5)
    drawn = draw(correlated(RATES, 4), 80, rng)
    cases = [case for case in _without_some(drawn.cases, 5) if any(vote.option is not None for vote in case.votes)]
    records = reliabilities(cases, 4)
    panel = panel_of(cases, drawn.options, sorted(records.by_persona))
    problem = _held_out(panel, panel, 4)
    theta = rng.normal(0.0, 0.5, 10)
    loss = objective(theta, problem, 0.0)[0] - 2.0 * ((theta[0] - 1.0) ** 2 + theta[1] ** 2)
    (centres, _), rates = _centres(panel), _rates(panel)
    weights = {
        persona: PoolWeight(
            base=theta[0] * log_odds(rates[number], 4) + theta[2 + number],
            slope=theta[1] + theta[6 + number],
            centre=centres[number],
        )
        for number, persona in enumerate(panel.personas)
    }
    pool = Pool(weights=weights, stranger=next(iter(weights.values())), scale=theta[0], ridge=1.0, cases=len(cases))
    assert loss == pytest.approx(len(cases) * _loss(pool, cases, drawn.options))


def test_fitting_lowers_the_loss_and_a_strong_ridge_less_so() -> None:
    drawn = draw(correlated(RATES, 4), 150, np.random.default_rng(5))
    weak, strong = (_loss(_fit(drawn.cases, drawn.options, ridge), drawn.cases, drawn.options) for ridge in (0.01, 1e9))
    assert weak < strong < np.log(4)


@pytest.mark.parametrize(("cases", "tolerance"), [(300, 0.6), (3000, 0.3)])
def test_an_independent_panel_gets_its_log_odds(cases: int, tolerance: float) -> None:
    drawn = draw(independent(RATES, 4), cases, np.random.default_rng(7))
    constant = [
        replace(case, votes=tuple(replace(vote, confidence=0.5) for vote in case.votes)) for case in drawn.cases
    ]
    pool = _fit(constant, drawn.options)
    for persona, rate in drawn.rates.items():
        assert pool.weights[persona].base == pytest.approx(log_odds(rate, 4), abs=tolerance)


def test_a_panel_that_errs_together_counts_less_than_its_log_odds() -> None:
    drawn = draw(correlated((0.6,) * 8, 4, shared=0.6), 800, np.random.default_rng(11))
    assert 0.0 < _fit(drawn.cases, drawn.options).scale < 0.7


def test_confidence_counts_where_it_tells_right_from_wrong() -> None:
    drawn = draw(miscalibrated((0.6, 0.6, 0.6), 3, ("honest", "honest", "noisy")), 1500, np.random.default_rng(13))
    honest, _, noisy = (weight.slope for _, weight in sorted(_fit(drawn.cases, drawn.options).weights.items()))
    assert honest > noisy + 0.1
    assert honest > 0.2


def _moved(
    name: str, alone: Learned, twins: Learned, pairs: Sequence[tuple[Case, Case]], options: tuple[str, ...]
) -> Floats:
    """By how much the clone moves each option's posterior in each case."""
    strategy, moved = STRATEGIES[name], []
    for before, after in pairs:
        one = strategy.count(before.votes, options, NoParameters(), alone).posterior or {}
        two = strategy.count(after.votes, options, NoParameters(), twins).posterior or {}
        moved.extend(two[option] - one[option] for option in options)
    return np.asarray(moved)


@pytest.mark.parametrize("seed", range(3))
def test_a_clone_does_not_raise_the_posterior_when_fitted_with_its_twin(seed: int) -> None:
    """Where the cases speak, not at all; where the ridge pulls towards log-odds, much less than log-odds do."""
    drawn = draw(correlated(RATES, 3), 300, np.random.default_rng(seed))
    first = min(drawn.rates)
    with_clone = [
        replace(case, votes=(*case.votes, *(replace(v, persona="zz") for v in case.votes if v.persona == first)))
        for case in drawn.cases
    ]
    rates = {persona: record.rate for persona, record in reliabilities(with_clone, 3).by_persona.items()}
    pairs = list(zip(drawn.cases, with_clone, strict=True))
    by_ridge = {}
    for ridge in (0.3, 30.0):
        alone, twins = (Learned(1, rates, 0.5, _fit(c, drawn.options, ridge)) for c in (drawn.cases, with_clone))
        by_ridge[ridge] = _moved("calibrated_pool", alone, twins, pairs, drawn.options)
    log_odds_moved = _moved("log_odds", alone, twins, pairs, drawn.options)
    assert by_ridge[0.3].max() < 0.02
    assert np.abs(by_ridge[30.0]).mean() < 0.5 * np.abs(log_odds_moved).mean()


@pytest.mark.parametrize("sparse", [False, True])
def test_the_order_of_the_cases_does_not_matter_bit_for_bit(sparse: bool) -> None:
    drawn = draw(correlated(RATES, 3), 120, np.random.default_rng(17))
    cases = _without_some(drawn.cases, 17) if sparse else drawn.cases
    turned = [cases[number] for number in np.random.default_rng(1).permutation(len(cases))]
    assert _fit(cases, drawn.options) == _fit(turned, drawn.options)


def test_a_crowd_of_strangers_is_weighed_by_what_it_is_worth_not_by_its_own_hits() -> None:
    """Records that count the case itself call each of these guessers skilled or not by luck, and s comes out high."""
    rng = np.random.default_rng(19)
    cases = []
    for number in range(300):
        votes = [(f"w{rng.integers(400):03}", str(rng.choice(["a", "b"], p=[0.6, 0.4])), 0.5) for _ in range(7)]
        right = "a" if rng.random() < 0.5 else "b"
        turned = {persona: option if right == "a" else {"a": "b", "b": "a"}[option] for persona, option, _ in votes}
        cases.append(_case(number, right, *((persona, option, 0.5) for persona, option in sorted(turned.items()))))
    pool = _fit(cases, ("a", "b"))
    bases = [weight.base for weight in pool.weights.values()]
    assert float(np.mean(bases)) == pytest.approx(log_odds(0.6, 2), abs=0.15)
    assert float(np.std(bases)) < 0.3


def test_equal_confidences_move_nothing() -> None:
    drawn = draw(correlated(RATES, 3), 200, np.random.default_rng(23))
    pools = [
        _fit(
            [replace(case, votes=tuple(replace(v, confidence=c) for v in case.votes)) for case in drawn.cases],
            drawn.options,
        )
        for c in (0.0, 0.7, 1.0)
    ]
    for pool in pools:
        assert [weight.slope for weight in pool.weights.values()] == pytest.approx([0.0] * 4, abs=1e-9)
        assert [w.base for w in pool.weights.values()] == pytest.approx(
            [w.base for w in pools[0].weights.values()], abs=1e-3
        )


def test_an_overconfident_guesser_weighs_nothing() -> None:
    rng = np.random.default_rng(29)
    drawn = draw(independent(RATES, 4), 600, rng)
    cases = [replace(c, votes=(*c.votes, Vote("zz", str(rng.choice(drawn.options)), 0.99, 0))) for c in drawn.cases]
    assert abs(_fit(cases, drawn.options).weights["zz"].base) < 0.2


def test_a_right_option_without_a_vote_counts_as_one_of_the_unvoted() -> None:
    voted = [_case(n, "a", ("ann", "a", 0.5), ("bob", "a", 0.5)) for n in range(60)]
    missed = [_case(100 + n, "c", ("ann", "a", 0.5), ("bob", "b", 0.5)) for n in range(60)]
    sure, unsure = _fit(voted, ABC), _fit([*voted, *missed], ABC)
    assert (sure.cases, unsure.cases) == (60, 120)
    assert unsure.weights["ann"].base < sure.weights["ann"].base
    assert np.isfinite(_loss(unsure, missed, ABC))


def test_a_right_option_that_was_not_declared_is_left_out() -> None:
    inside = [_case(n, "a" if n % 3 else "b", ("ann", "a", 0.5), ("bob", "b", 0.5)) for n in range(30)]
    outside = [_case(100 + n, "z", ("ann", "a", 0.5)) for n in range(5)]
    assert _fit([*inside, *outside], ABC).cases == 30
    with pytest.raises(ValueError, match="declared option"):
        _fit(outside, ABC)


def test_one_persona_is_a_panel() -> None:
    cases = [_case(n, "a" if n % 4 else "b", ("ann", "a", 0.5)) for n in range(100)]
    pool = _fit(cases, ("a", "b"))
    assert (_count(pool, cases[0].votes, ("a", "b")).posterior or {})["a"] == pytest.approx(0.75, abs=0.05)


def test_one_case_and_one_label_give_a_sane_pool() -> None:
    for many in (1, 5, 40):
        pool = _fit([_case(n, "a", ("ann", "a", 1.0), ("bob", "a", 0.2)) for n in range(many)], ABC)
        assert all(0.0 < weight.base < 12.0 and abs(weight.slope) < 2.0 for weight in pool.weights.values())
        assert 0.0 < pool.stranger.base < 12.0


def test_few_cases_shrink_to_scaled_log_odds() -> None:
    cases = draw(independent(RATES, 3), 15, np.random.default_rng(31)).cases
    options = tuple(sorted({case.right for case in cases}))
    pool = _fit(cases, options)
    assert pool.ridge == RIDGES[0]
    panel = panel_of(cases, options, sorted(pool.weights))
    for persona, rate in zip(panel.personas, _rates(panel), strict=True):
        assert pool.weights[persona].base == pytest.approx(pool.scale * log_odds(rate, 3), abs=0.1)


def test_a_stranger_weighs_what_the_mean_rate_says() -> None:
    drawn = draw(correlated(RATES, 3), 200, np.random.default_rng(37))
    pool, records = _fit(drawn.cases, drawn.options), reliabilities(drawn.cases, 3)
    assert pool.stranger.base == pytest.approx(pool.scale * log_odds(records.mean_rate, 3))


def test_nothing_to_fit_is_said() -> None:
    records = Records(0.5, {})
    with pytest.raises(ValueError, match="both a vote and a declared option"):
        fit_pool([], ABC, records, 1)
    with pytest.raises(ValueError, match="at least 2"):
        fit_pool([_case(1, "a", ("ann", "a", 0.5))], ("a",), records, 1)


def test_where_personas_are_equally_good_the_pool_does_not_fall_behind_plurality() -> None:
    """Short records that differ by chance alone must not become weights."""
    rng = np.random.default_rng(0)

    def drawn(count: int, tag: str) -> list[Case]:
        found = []
        for number in range(count):
            right = int(rng.integers(2))
            voters = np.sort(rng.choice(300, 5, replace=False))
            said = np.where(rng.random(5) < 0.6, right, 1 - right)
            votes = (Vote(f"p{who:03d}", "ab"[one], 0.5, 0) for who, one in zip(voters, said, strict=True))
            found.append(Case(f"{tag}{number}", tuple(votes), "ab"[right]))
        return found

    options, test = ("a", "b"), drawn(1500, "test")
    learned = fit_learned(options, drawn(600, "fit"), 0)
    pool = accuracy(score_cases("calibrated_pool", {}, options, test, learned))
    assert pool >= accuracy(score_cases("plurality", {}, options, test, None)) - 0.01
