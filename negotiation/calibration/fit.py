"""A calibration from resolved cases: fitted on some, certified on others, measured on the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from domain.calibration import Certificate, Pool
from negotiation.calibration.cases import Case, Scored
from negotiation.calibration.certify import certify, grid_of
from negotiation.calibration.panel import shuffled
from negotiation.calibration.pool import fit_pool
from negotiation.calibration.reliability import Records, reliabilities
from negotiation.calibration.scoring import score_cases
from negotiation.calibration.selective import accuracy, augrc, aurc, calibration_error, coverage_at, selected
from negotiation.learned import Learned
from negotiation.strategies import STRATEGIES

MOST_FIT = 2000
"""Fitting a few dozen weights gains next to nothing from more; certifying does."""

TEST_SHARE = 1 / 3
"""Of what the fit leaves. Certification comes first: at least 45, 114 or 230 error-free cases for 5, 2 or 1 %."""

Strategies = Mapping[str, Mapping[str, Any]]
"""Strategy name -> its parameters."""


@dataclass(frozen=True, slots=True)
class Split:
    """Cases that share no key."""

    fit: tuple[Case, ...]
    certify: tuple[Case, ...]
    test: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class Fitted:
    """All of a calibration but its names and dates."""

    records: Records
    pool: Pool
    certificates: tuple[Certificate, ...]
    """In the order of the strategies' names."""
    figures: dict[str, dict[str, float]]
    """The strategy's rule with its parameters -> its figures on the test cases; empty where there are none."""
    fit_cases: int
    certify_cases: int
    test_cases: int
    learned: Learned
    """What the strategies were measured with, the certificates included."""


def split(cases: Sequence[Case], seed: int, test: float = TEST_SHARE) -> Split:
    """Half of the cases to fit, MOST_FIT at most; the rest to certify and, a share `test` of it, to measure.

    Which case goes where depends on the keys and the seed, not on the order; cases of one key stay together.
    """
    if not 0.0 <= test < 1.0:
        raise ValueError(f"the test share must be in [0, 1), not {test:g}")
    ordered = shuffled(cases, seed)
    fit = _whole(ordered, min(MOST_FIT, (len(ordered) + 1) // 2))
    certified = _whole(ordered, len(ordered) - int((len(ordered) - fit) * test))
    return Split(tuple(ordered[:fit]), tuple(ordered[fit:certified]), tuple(ordered[certified:]))


def fit_learned(options: Sequence[str], cases: Sequence[Case], seed: int, version: int = 1) -> Learned:
    """Records and pool of all these cases; nothing is certified. Raises ValueError where nothing can be learned."""
    return _learn(options, cases, seed, version)[0]


def certificates(
    options: Sequence[str], parts: Split, strategies: Strategies, learned: Learned, alpha: float, delta: float
) -> tuple[Certificate, ...]:
    """Each strategy's threshold: proposed by its scores on the fit cases, tested on the certification cases."""
    found = []
    for name in sorted(strategies):
        parameters = strategies[name]
        proposed = score_cases(name, parameters, options, parts.fit, learned)
        tested = score_cases(name, parameters, options, parts.certify, learned)
        grid = grid_of([case.score for case in proposed])
        found.append(certify(_rule(name, parameters), STRATEGIES[name].measure, grid, tested, alpha, delta))
    return tuple(found)


def calibrate(
    options: Sequence[str],
    cases: Sequence[Case],
    strategies: Strategies,
    alpha: float,
    delta: float,
    seed: int,
    *,
    test: float = TEST_SHARE,
    version: int = 1,
) -> Fitted:
    """Everything a calibration holds beside its names and dates. Raises ValueError where nothing can be learned."""
    parts = split(cases, seed, test)
    learned, records, pool = _learn(options, parts.fit, seed, version)
    certified = certificates(options, parts, strategies, learned, alpha, delta)
    figures: dict[str, dict[str, float]] = {}
    for certificate, name in zip(certified, sorted(strategies), strict=True):
        if parts.test:
            scored = score_cases(name, strategies[name], options, parts.test, learned)
            figures[certificate.strategy] = _figures(scored, certificate.threshold)
    return Fitted(
        records=records,
        pool=pool,
        certificates=certified,
        figures=figures,
        fit_cases=len(parts.fit),
        certify_cases=len(parts.certify),
        test_cases=len(parts.test),
        learned=replace(learned, certificates={one.strategy: one for one in certified}),
    )


def _learn(options: Sequence[str], cases: Sequence[Case], seed: int, version: int) -> tuple[Learned, Records, Pool]:
    if not cases:
        raise ValueError("there are no resolved cases to learn from")
    records = reliabilities(cases, len(options))
    pool = fit_pool(cases, options, records, seed)
    learned = Learned(
        version=version,
        rates={persona: record.rate for persona, record in records.by_persona.items()},
        mean_rate=records.mean_rate,
        pool=pool,
        sources={persona: f"{record.hits} of {record.cases}" for persona, record in records.by_persona.items()},
    )
    return learned, records, pool


def _figures(scored: Sequence[Scored], threshold: float | None) -> dict[str, float]:
    taken = selected(scored, threshold)
    return {
        "accuracy": accuracy(scored),
        "aurc": aurc(scored),
        "augrc": augrc(scored),
        "coverage_at_5": coverage_at(scored, 0.05),
        "coverage_at_2": coverage_at(scored, 0.02),
        "calibration_error": calibration_error(scored),
        "certified_coverage": taken.coverage,
        "certified_error": taken.error,
    }


def _rule(name: str, parameters: Mapping[str, Any]) -> str:
    strategy = STRATEGIES[name]
    return strategy.rule(strategy.Parameters.model_validate(dict(parameters)))


def _whole(ordered: Sequence[Case], cut: int) -> int:
    """The cut moved on until it parts no two cases of one key."""
    while 0 < cut < len(ordered) and ordered[cut].key == ordered[cut - 1].key:
        cut += 1
    return cut
