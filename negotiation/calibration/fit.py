"""A calibration from resolved cases: fitted on some, certified on others, measured on the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from domain.calibration import Certificate, Pool
from domain.task_type import StrategySpec
from negotiation.calibration.cases import Case, Scored
from negotiation.calibration.certify import certify, grid_of
from negotiation.calibration.panel import shuffled
from negotiation.calibration.pool import fit_pool
from negotiation.calibration.reliability import Records, reliabilities
from negotiation.calibration.scoring import score_cases
from negotiation.calibration.selective import measures, selected
from negotiation.learned import Learned
from negotiation.strategies import STRATEGIES, rule_of

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
    options: Sequence[str],
    parts: Split,
    strategies: Strategies,
    learned: Learned,
    alpha: float,
    delta: float,
    rules: StrategySpec | None = None,
) -> tuple[Certificate, ...]:
    """Each strategy's threshold: proposed by its scores on the fit cases, tested on the certification cases.

    With `rules`, what each strategy would decide under them counts as accepted, and nothing else.
    """
    found = []
    for name in sorted(strategies):
        parameters = strategies[name]
        proposed = score_cases(name, parameters, options, parts.fit, learned, rules)
        tested = score_cases(name, parameters, options, parts.certify, learned, rules)
        grid = grid_of([case.score for case in proposed])
        found.append(certify(rule_of(name, parameters), STRATEGIES[name].measure, grid, tested, alpha, delta))
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
    rules: StrategySpec | None = None,
) -> Fitted:
    """Everything a calibration holds beside its names and dates. Raises ValueError where nothing can be learned.

    `rules`: the quorum, vetoes, limits and the rest that every strategy is certified under; the cases then hold what
    these read. None: votes alone are counted.
    """
    parts = split(cases, seed, test)
    learned, records, pool = _learn(options, parts.fit, seed, version)
    certified = certificates(options, parts, strategies, learned, alpha, delta, rules)
    figures: dict[str, dict[str, float]] = {}
    for certificate, name in zip(certified, sorted(strategies), strict=True):
        if parts.test:
            counted = score_cases(name, strategies[name], options, parts.test, learned)
            ruled = counted
            if rules is not None:
                ruled = score_cases(name, strategies[name], options, parts.test, learned, rules)
            figures[certificate.strategy] = _figures(counted, ruled, certificate.threshold)
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


def _figures(counted: Sequence[Scored], ruled: Sequence[Scored], threshold: float | None) -> dict[str, float]:
    """How well the strategy counts, and what its threshold decides under the rules."""
    taken = selected(ruled, threshold)
    return {**asdict(measures(counted)), "certified_coverage": taken.coverage, "certified_error": taken.error}


def _whole(ordered: Sequence[Case], cut: int) -> int:
    """The cut moved on until it parts no two cases of one key."""
    while 0 < cut < len(ordered) and ordered[cut].key == ordered[cut - 1].key:
        cut += 1
    return cut
