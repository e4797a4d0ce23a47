import numpy as np
import pytest

from negotiation.calibration.simulated import Make, Simulated, correlated, draw, exact_bayes, independent, miscalibrated

RATES = (0.85, 0.7, 0.6, 0.5)


def many(make: Make, seed: int = 1) -> Simulated:
    return draw(make, 60_000, np.random.default_rng(seed))


def hits(made: Simulated) -> np.ndarray:  # type: ignore[type-arg]
    return made.choices == made.right[:, None]


@pytest.mark.parametrize(
    "make",
    [independent(RATES, 3), correlated(RATES, 3, 0.6), miscalibrated(RATES, 3, ["honest", "noisy", "noisy", "honest"])],
)
def test_everyone_is_right_as_often_as_it_says(make: Make) -> None:
    made = many(make)
    assert tuple(made.rates.values()) == RATES
    assert hits(made).mean(axis=0) == pytest.approx(np.array(RATES), abs=0.01)
    assert np.bincount(made.right) / 60_000 == pytest.approx([1 / 3] * 3, abs=0.01)


def correlation(made: Simulated) -> float:
    found = np.corrcoef(hits(made).T)
    return float(found[np.triu_indices(len(RATES), 1)].mean())


def test_errors_are_independent_or_shared_as_asked_for() -> None:
    assert correlation(many(independent(RATES, 3))) == pytest.approx(0.0, abs=0.01)
    assert 0.05 < correlation(many(correlated(RATES, 3, 0.3))) < correlation(many(correlated(RATES, 3, 0.7))) < 0.7


def test_wrong_votes_are_uniform_or_fall_together() -> None:
    def alike(made: Simulated) -> float:
        both = ~hits(made)[:, 2] & ~hits(made)[:, 3]
        return float((made.choices[both, 2] == made.choices[both, 3]).mean())

    assert alike(many(independent(RATES, 4))) == pytest.approx(1 / 3, abs=0.02)
    assert alike(many(correlated(RATES, 4, 0.8))) > 0.6


@pytest.mark.parametrize(("kind", "sign"), [("honest", 0), ("overconfident", 1), ("underconfident", -1)])
def test_confidences_are_off_as_asked_for(kind: str, sign: int) -> None:
    made = many(miscalibrated(RATES, 2, [kind] * 4))
    gap = made.confidences.mean(axis=0) - hits(made).mean(axis=0)
    assert gap == pytest.approx(np.zeros(4), abs=0.01) if sign == 0 else (gap * sign > 0.05).all()


def test_noise_tells_less_of_being_right() -> None:
    def told(kind: str) -> float:
        made = many(miscalibrated(RATES, 2, [kind] * 4))
        return float(np.corrcoef(made.confidences[:, 1], hits(made)[:, 1])[0, 1])

    assert 0.0 < told("noisy") < told("honest") - 0.03


def test_the_cases_are_the_arrays() -> None:
    made = draw(independent(RATES, 3), 50, np.random.default_rng(4))
    cases = made.cases
    assert len({case.key for case in cases}) == 50
    for number, case in enumerate(cases):
        assert [vote.persona for vote in case.votes] == sorted(made.rates)
        assert [vote.option for vote in case.votes] == [made.options[one] for one in made.choices[number]]
        assert [vote.confidence for vote in case.votes] == made.confidences[number].tolist()
        assert case.right == made.options[made.right[number]]


def test_the_seed_decides() -> None:
    one, same, other = (draw(correlated(RATES, 3), 40, np.random.default_rng(seed)).cases for seed in (1, 1, 2))
    assert one == same != other


def test_the_best_decision_on_drawn_votes_comes_out_at_the_exact_limit() -> None:
    made = many(independent(RATES, 3))
    table = np.log(np.array(RATES) / (1 - np.array(RATES)) * 2)
    scores = np.stack([(table * (made.choices == option)).sum(axis=1) for option in range(3)], axis=1)
    assert (scores.argmax(axis=1) == made.right).mean() == pytest.approx(exact_bayes(RATES, 3), abs=0.006)


def test_impossible_panels_are_refused() -> None:
    with pytest.raises(ValueError, match="two options"):
        draw(independent(RATES, 1), 5, np.random.default_rng(0))
    with pytest.raises(ValueError, match="strictly between"):
        draw(independent((1.0,), 2), 5, np.random.default_rng(0))
    with pytest.raises(ValueError, match="4 personas and 1"):
        miscalibrated(RATES, 2, ["honest"])
