"""How often a certified error bound is broken on panels whose truth is known: `python -m bench.certified [--json]`.

Each panel is drawn, learned from on its fit cases and certified on its certification cases. Then a large fresh sample
tells the true share of errors at or above the certified threshold. Broken in more than delta of the panels, the
certificate would promise too much.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from domain.calibration import Certificate
from evaluation.rates import Rate, rate
from negotiation.calibration.cases import Scored
from negotiation.calibration.certify import grid_of
from negotiation.calibration.fit import Split, certificates, fit_learned
from negotiation.calibration.scoring import score_cases
from negotiation.calibration.selective import selected
from negotiation.calibration.simulated import Make, Simulated, correlated, draw, independent, miscalibrated
from negotiation.learned import Learned, pool_weight
from negotiation.strategies.calibrated_pool import CLIP
from negotiation.strategies.log_odds import log_odds
from negotiation.strategy import TIE

Floats = NDArray[np.float64]

KINDS = ("independent", "correlated", "miscalibrated")
CROWDED = "crowded"
"""Too many personas for the cases: what is learned fits its own cases far better than others. Not in the table."""
RULES = ("log_odds", "calibrated_pool")
TIED = -1
WAYS = ("honest", "overconfident", "underconfident", "noisy")


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many cases each panel has."""

    fit: int = 400
    certify: int = 400
    test: int = 20_000


@dataclass(frozen=True, slots=True)
class Trial:
    """One strategy on one panel."""

    kind: str
    rule: str
    certified: bool
    coverage: float
    error: float
    """True share of errors among what the threshold decides."""
    broken: bool
    """Whether that is more than alpha."""
    picked_broken: bool
    """The same of the threshold picked by hand: the loosest with at most alpha errors on the fit cases."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """A strategy's reading of fresh cases."""

    leader: NDArray[np.int64]
    """TIED where there is none."""
    score: Floats
    wrong: NDArray[np.bool_]

    def selected(self, threshold: float | None) -> tuple[float, float]:
        """Coverage and share of errors at or above the threshold; 0 where nothing is."""
        taken = np.zeros(len(self.score), dtype=np.bool_) if threshold is None else self.score >= threshold
        return float(taken.mean()), float(self.wrong[taken].mean()) if taken.any() else 0.0


def make_panel(kind: str, rng: np.random.Generator) -> Make:
    """A panel of four to seven personas that does better than chance and falls short of deciding every case."""
    if kind == CROWDED:
        return Make(tuple(rng.uniform(0.5, 0.56, 150).tolist()), 2, spread=500.0)
    options, size = int(rng.integers(2, 5)), int(rng.integers(4, 8))
    rates = rng.uniform(0.5 if options > 2 else 0.6, 0.85, size).tolist()
    if kind == "independent":
        return independent(rates, options)
    if kind == "correlated":
        return correlated(rates, options, shared=float(rng.uniform(0.2, 0.6)))
    return miscalibrated(rates, options, [str(way) for way in rng.choice(WAYS, size)])


def score_arrays(rule: str, made: Simulated, learned: Learned) -> Fresh:
    """What `score_cases` gives, for many cases at once."""
    personas, options = tuple(made.rates), len(made.options)
    weights: Floats = np.array([log_odds(learned.rate(one), options) for one in personas])
    if rule == "calibrated_pool":
        parts = [pool_weight(learned, one) for one in personas]
        clipped = np.clip(made.confidences, CLIP, 1.0 - CLIP)
        centred = np.log(clipped / (1.0 - clipped)) - np.array([one.centre for one in parts])
        weights = np.array([one.base for one in parts]) + np.array([one.slope for one in parts]) * centred
    votes = made.choices[:, :, None] == np.arange(options)
    tally = (np.broadcast_to(weights, made.choices.shape)[:, :, None] * votes).sum(axis=1)
    posterior = np.exp(tally - tally.max(axis=1, keepdims=True))
    posterior /= posterior.sum(axis=1, keepdims=True)
    # Only an option with a vote can lead.
    standing = np.where(votes.any(axis=1), tally, -np.inf)
    level = standing.max(axis=1, keepdims=True) - standing <= TIE
    leader = np.where(level.sum(axis=1) == 1, level.argmax(axis=1), TIED)
    score = np.where(leader == TIED, 0.0, posterior[np.arange(len(leader)), leader])
    return Fresh(leader, score, (leader != TIED) & (leader != made.right))


def trials(kind: str, seed: int, alpha: float, delta: float, sizes: Sizes) -> list[Trial]:
    """Every strategy on one panel."""
    rng = np.random.default_rng(((*KINDS, CROWDED).index(kind), seed))
    make = make_panel(kind, rng)
    fit, certification, test = (draw(make, size, rng) for size in (sizes.fit, sizes.certify, sizes.test))
    parts = Split(tuple(fit.cases), tuple(certification.cases), ())
    learned = fit_learned(fit.options, parts.fit, seed)
    found = certificates(fit.options, parts, {rule: {} for rule in RULES}, learned, alpha, delta)
    return [
        _trial(kind, one, score_cases(one.strategy, {}, fit.options, parts.fit, learned), test, learned)
        for one in found
    ]


def _trial(kind: str, found: Certificate, known: Sequence[Scored], test: Simulated, learned: Learned) -> Trial:
    fresh = score_arrays(found.strategy, test, learned)
    grid = grid_of([case.score for case in known])
    picked = next((one for one in grid if selected(known, one).error <= found.alpha), None)
    coverage, error = fresh.selected(found.threshold)
    return Trial(
        kind=kind,
        rule=found.strategy,
        certified=found.threshold is not None,
        coverage=coverage,
        error=error,
        broken=error > found.alpha,
        picked_broken=fresh.selected(picked)[1] > found.alpha,
    )


def summary(found: Sequence[Trial], delta: float) -> dict[str, Any]:
    """How often the bound was broken, over all panels and over those where something certified."""
    certified = [trial for trial in found if trial.certified]
    broken = rate(sum(trial.broken for trial in found), len(found))
    return {
        "panels": len(found),
        "certified": len(certified),
        "broken": broken.model_dump(),
        "broken_of_certified": rate(sum(trial.broken for trial in certified), len(certified)).model_dump(),
        "holds": holds(broken, delta),
        "mean_coverage": float(np.mean([trial.coverage for trial in found])),
        "mean_error": float(np.mean([trial.error for trial in certified])) if certified else None,
        "broken_picked_by_hand": rate(sum(trial.picked_broken for trial in found), len(found)).model_dump(),
    }


def holds(broken: Rate, delta: float) -> bool:
    """Whether the observations agree with at most delta: the interval reaches down to it."""
    return broken.low is None or broken.low <= delta


def run(panels: int, alpha: float, delta: float, sizes: Sizes, seed: int = 1) -> dict[str, Any]:
    """So many panels in equal parts of each kind; figures by strategy, then by kind and over all."""
    each = max(1, panels // len(KINDS))
    # The arrays are small: threads of the linear algebra only wait for one another.
    with threadpool_limits(limits=1):
        found = [
            trial
            for kind in KINDS
            for number in range(each)
            for trial in trials(kind, seed * 1_000_000 + number, alpha, delta, sizes)
        ]
    figures: dict[str, Any] = {}
    for rule in RULES:
        mine = [trial for trial in found if trial.rule == rule]
        figures[rule] = {kind: summary([one for one in mine if one.kind == kind], delta) for kind in KINDS}
        figures[rule]["all"] = summary(mine, delta)
    return figures


def show(figures: dict[str, Any], alpha: float, delta: float) -> None:
    """The figures as a table."""
    print(f"at most {100 * alpha:g} % wrong, to be broken in at most {100 * delta:g} % of the panels\n")
    print(
        f"{'strategy':<16}{'panels':<15}{'n':>5}{'certified':>11}{'broken':>8}{'Wilson 95 %':>16}{'holds':>7}", end=""
    )
    print(f"{'coverage':>10}{'error':>8}{'by hand':>9}")
    for rule, kinds in figures.items():
        for kind, row in kinds.items():
            broken, picked = row["broken"], row["broken_picked_by_hand"]
            interval = f"{broken['low']:.3f} to {broken['high']:.3f}"
            error = "-" if row["mean_error"] is None else f"{row['mean_error']:.4f}"
            print(f"{rule:<16}{kind:<15}{row['panels']:>5}{row['certified']:>11}{broken['hits']:>8}", end="")
            print(f"{interval:>16}{'yes' if row['holds'] else 'NO':>7}{row['mean_coverage']:>10.3f}{error:>8}", end="")
            print(f"{picked['value']:>9.3f}")


def main() -> None:
    """Run and print; exits with 1 where the bound does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--panels", type=int, default=240)
    parser.add_argument("--alpha", type=float, default=0.05)
    parser.add_argument("--delta", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    start = perf_counter()
    figures = run(asked.panels, asked.alpha, asked.delta, Sizes(), asked.seed)
    seconds = perf_counter() - start
    if asked.json:
        print(json.dumps({"alpha": asked.alpha, "delta": asked.delta, "seconds": seconds, "figures": figures}))
    else:
        show(figures, asked.alpha, asked.delta)
        print(f"\n{seconds:.1f} s")
    if not all(row["holds"] for kinds in figures.values() for row in kinds.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
