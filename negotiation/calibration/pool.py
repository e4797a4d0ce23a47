"""Fitting the calibrated pool: a conditional logit on resolved cases, shrunk to log-odds weights.

S_x = sum over the votes a for x of (s NP_a + d_a + (g + u_a) z_a), P(x) = softmax of S over all declared options.
NP_a is a log-odds weight as the strategy `log_odds` has it, of a rate that is shrunk as strongly as the panel's records
ask for (`likely_strength`): where personas differ by chance alone all weigh alike, as in plurality.
Maximised: sum log P(right) - ridge/2 (|d|^2 + |u|^2) - PRIOR/2 ((s - 1)^2 + g^2).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from domain.calibration import Pool, PoolWeight
from negotiation.calibration.cases import Case
from negotiation.calibration.panel import UNVOTED, Bools, Floats, Panel, panel_of, shuffled
from negotiation.calibration.reliability import Records, clipped, likely_strength, shrunk
from negotiation.strategies.log_odds import log_odds

RIDGES = (1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3)
"""Tried from the strongest on. The prior's standard deviation of a weight: from 0.03 to 1.8 log-odds."""

FOLDS = 5

LEAST_CASES = 20
"""With fewer there is nothing to cross-validate: the strongest ridge is taken."""

LEANING = 0.5
"""Standard errors of the paired difference from the best ridge that a stronger one may lie behind: few cases tell
ridges apart badly, and then the stronger one is the safer. A whole one shrinks small dense panels too far."""

PRIOR = 4.0
"""Of s towards 1 and of g towards 0: a standard deviation of 0.5, which a few dozen cases outweigh."""


@dataclass(frozen=True, slots=True)
class Problem:
    """The votes with what the fit takes as given."""

    panel: Panel
    weight: Floats
    """Of each vote: NP of its voter."""
    z: Floats
    """Of each vote: its centred logit."""

    @property
    def personas(self) -> int:
        """How many."""
        return len(self.panel.personas)


def fit_pool(
    cases: Sequence[Case], options: Sequence[str], records: Records, seed: int, ridge: float | None = None
) -> Pool:
    """The pool of these cases, whose records are `records`. `ridge` None: cross-validated inside these cases.

    Raises ValueError where no case with a vote has a declared option as its right one.
    """
    if len(set(options)) < 2:
        raise ValueError(f"{len(set(options))} options: at least 2 are needed")
    panel = panel_of(shuffled(cases, seed), options, sorted(records.by_persona))
    usable = int(panel.known.sum())
    if usable == 0:
        raise ValueError("no resolved case has both a vote and a declared option that was right")
    centres, mean_centre = _centres(panel)
    # The matrices inside L-BFGS are tiny: threads only wait for each other, and on a busy machine ten times as long.
    with threadpool_limits(1, "blas"):
        chosen = _choose(panel, len(set(options))) if ridge is None else ridge
        theta = _solve(_problem(panel, len(set(options)), centres), chosen, None)
    count = len(panel.personas)
    scale, slope, shifts, tilts = theta[0], theta[1], theta[2 : 2 + count], theta[2 + count :]
    bases = float(scale) * _log_odds(_rates(panel), len(set(options))) + shifts
    weights = {
        persona: PoolWeight(
            base=float(bases[number]), slope=float(slope + tilts[number]), centre=float(centres[number])
        )
        for number, persona in enumerate(panel.personas)
    }
    mean = float(scale) * log_odds(records.mean_rate, len(set(options)))
    stranger = PoolWeight(base=mean, slope=float(slope), centre=mean_centre)
    return Pool(weights=weights, stranger=stranger, scale=float(scale), ridge=chosen, cases=usable)


def objective(theta: Floats, problem: Problem, ridge: float) -> tuple[float, Floats]:
    """The penalised negative log-likelihood at theta = (s, g, d, u), and its gradient."""
    count, panel = problem.personas, problem.panel
    losses, residual = _losses(panel, _vote_scores(theta, problem))
    pull = residual[panel.cell]
    tilted = pull * problem.z
    gradient = np.concatenate(
        (
            [(pull * problem.weight).sum(), tilted.sum()],
            np.bincount(panel.voter, pull, count),
            np.bincount(panel.voter, tilted, count),
        )
    )
    away = theta - np.concatenate(([1.0], np.zeros(2 * count + 1)))
    penalty = np.full(len(theta), ridge)
    penalty[:2] = PRIOR
    return float(losses.sum() + 0.5 * (penalty * away**2).sum()), gradient + penalty * away


def _vote_scores(theta: Floats, problem: Problem) -> Floats:
    count, voter = problem.personas, problem.panel.voter
    shift, tilt = theta[2 : 2 + count][voter], theta[2 + count :][voter]
    scores: Floats = theta[0] * problem.weight + shift + (theta[1] + tilt) * problem.z
    return scores


def _losses(panel: Panel, votes: Floats) -> tuple[Floats, Floats]:
    """Of each case -log P(right); of each cell P(cell) - [cell is right]. An option without a vote scores 0."""
    score = np.bincount(panel.cell, votes, len(panel.cell_case))
    first = np.flatnonzero(np.diff(panel.cell_case, prepend=-1))
    top = np.maximum.reduceat(score, first)
    top = np.where(panel.unvoted > 0, np.maximum(top, 0.0), top)
    power = np.exp(score - top[panel.cell_case])
    total = np.add.reduceat(power, first) + panel.unvoted * np.exp(-top)
    share = power / total[panel.cell_case]
    voted = panel.right != UNVOTED
    losses = top + np.log(total)
    losses[voted] -= score[panel.right[voted]]
    share[panel.right[voted]] -= 1.0
    return losses, share


def _problem(panel: Panel, options: int, centres: Floats) -> Problem:
    """What is fitted: each vote is weighed by its voter's record on the other cases, which alone it will have later.

    A record that counts the case itself is right too often where a persona has few votes, and s would come out high.
    """
    count, case = len(panel.personas), panel.vote_case
    votes, hits = np.bincount(panel.voter, minlength=count), np.bincount(panel.voter, panel.hit, count)
    others = len(case) - np.bincount(case, minlength=panel.cases)
    hits_of_others = panel.hit.sum() - np.bincount(case, panel.hit, panel.cases)
    mean = clipped(hits_of_others / np.maximum(others, 1))[case]
    mean = np.where(others[case] > 0, mean, 1.0 / options)
    strength = likely_strength(hits, votes, float(clipped(panel.hit.mean())))
    rate = shrunk(hits[panel.voter] - panel.hit, votes[panel.voter] - 1, mean, strength)
    return _known(panel, _log_odds(rate, options), panel.logit - centres[panel.voter])


def _known(panel: Panel, weight: Floats, z: Floats) -> Problem:
    """Without the cases in which none of the declared options was right: the likelihood has no term for them."""
    votes = panel.known[panel.vote_case]
    return Problem(panel.take(panel.known), weight[votes], z[votes])


def _held_out(trained: Panel, held: Panel, options: int) -> Problem:
    """Cases the fit has not seen, weighed as a decision would be: by the records and centres of those it has."""
    rates, (centres, _) = _rates(trained), _centres(trained)
    return _known(held, _log_odds(rates, options)[held.voter], held.logit - centres[held.voter])


def _rates(panel: Panel) -> Floats:
    """Each persona's rate, shrunk as strongly as the panel's records ask for."""
    count = len(panel.personas)
    votes, hits = np.bincount(panel.voter, minlength=count), np.bincount(panel.voter, panel.hit, count)
    mean = float(clipped(panel.hit.mean()))
    return shrunk(hits, votes, mean, likely_strength(hits, votes, mean))


def _log_odds(rate: Floats, options: int) -> Floats:
    return np.maximum(0.0, np.log((options - 1) * rate / (1.0 - rate)))


def _centres(panel: Panel) -> tuple[Floats, float]:
    """Each persona's mean logit, and the mean of these; a persona without a vote has the latter."""
    count = len(panel.personas)
    votes = np.bincount(panel.voter, minlength=count)
    means = np.bincount(panel.voter, panel.logit, count) / np.maximum(votes, 1)
    mean = float(means[votes > 0].mean())
    return np.where(votes > 0, means, mean), mean


def _solve(problem: Problem, ridge: float, start: Floats | None) -> Floats:
    if start is None:
        start = np.concatenate(([1.0], np.zeros(2 * problem.personas + 1)))
    options = {"maxiter": 500, "ftol": 1e-10, "gtol": 1e-5}
    found = minimize(objective, start, (problem, ridge), method="L-BFGS-B", jac=True, options=options)
    theta: Floats = found.x
    return theta


def _choose(panel: Panel, options: int) -> float:
    """The strongest ridge whose log-loss on held-out cases is within LEANING standard errors of the best one's."""
    if panel.cases < LEAST_CASES:
        return RIDGES[0]
    # The cases come shuffled by key and seed.
    fold = np.arange(panel.cases) % FOLDS
    losses = np.concatenate([_losses_by_ridge(panel, fold == number, options) for number in range(FOLDS)], axis=1)
    best = int(losses.mean(axis=1).argmin())
    for ridge, excess in zip(RIDGES, losses - losses[best], strict=True):
        if excess.mean() <= LEANING * excess.std() / np.sqrt(len(excess)):
            return ridge
    return RIDGES[best]


def _losses_by_ridge(panel: Panel, held: Bools, options: int) -> Floats:
    """Ridge x held-out case."""
    trained = panel.take(~held)
    if not trained.known.any() or not panel.known[held].any():
        return np.zeros((len(RIDGES), 0))
    centres, _ = _centres(trained)
    problem, unseen = _problem(trained, options, centres), _held_out(trained, panel.take(held), options)
    theta: Floats | None = None
    rows = []
    for ridge in RIDGES:
        theta = _solve(problem, ridge, theta)
        rows.append(_losses(unseen.panel, _vote_scores(theta, unseen))[0])
    return np.stack(rows)
