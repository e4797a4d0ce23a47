"""What a strategy makes of resolved cases, through the very code that decides."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ulp
from typing import Any

from domain.calibration import Certificate
from domain.decision import ResultKind
from domain.task_type import CertifySpec, StrategySpec
from negotiation.calibration.cases import Case, Scored, credit
from negotiation.learned import Learned
from negotiation.settle import Terms, certification, judge, lacking
from negotiation.strategies import STRATEGIES, rule_of
from negotiation.strategy import TIE, Strategy

LEAST_THRESHOLD = ulp(0.0)
"""The loosest threshold that there is: every score but 0 reaches it."""


def score_cases(
    name: str,
    parameters: Mapping[str, Any],
    options: Sequence[str],
    cases: Sequence[Case],
    learned: Learned | None,
    rules: StrategySpec | None = None,
) -> list[Scored]:
    """Every case's leader and score. A leader that is not accepted at any threshold keeps its place with a score of 0.

    Without `rules` that is one whose share is too small. With them it is all that would not be decided by a
    certificate of the loosest threshold: for want of a quorum, for a veto, a blocking minority or too small a margin,
    for the amount at stake, or since a counter-proposal makes the panel vote again.
    Raises ValueError for an unknown strategy, wrong parameters, where `learned` lacks what the strategy needs, or
    where rules are asked of a case that does not hold what they read.
    """
    if name not in STRATEGIES:
        raise ValueError(f"unknown strategy '{name}'")
    strategy = STRATEGIES[name]
    missing = lacking(strategy, learned)
    if missing is not None:
        raise ValueError(f"{name}: {missing}")
    if rules is None:
        return _counted(strategy, parameters, options, cases, learned)
    asked = certification(rules) or CertifySpec()
    spec = rules.model_copy(update={"name": name, "parameters": dict(parameters), "certify": asked})
    loosest = _with_loosest(spec, asked, learned)
    return [_judged(spec, options, case, loosest) for case in cases]


def _counted(
    strategy: Strategy,
    parameters: Mapping[str, Any],
    options: Sequence[str],
    cases: Sequence[Case],
    learned: Learned | None,
) -> list[Scored]:
    """By the votes alone."""
    checked = strategy.Parameters.model_validate(dict(parameters))
    least_share = strategy.least_share(checked) - TIE
    found: list[Scored] = []
    for case in cases:
        count = strategy.count(case.votes, options, checked, learned)
        found.append(
            Scored(
                leader=count.leader,
                score=count.score if count.share >= least_share else 0.0,
                confidence=count.share,
                credit=credit(case.right, count.leader, count.level),
            )
        )
    return found


def _judged(spec: StrategySpec, options: Sequence[str], case: Case, learned: Learned) -> Scored:
    """Under all rules of the spec."""
    blind = case.blind
    if blind is None:
        raise ValueError(f"case {case.key}: its votes alone are on record: no rules can be applied to them")
    found = judge(spec, options, blind.ballot, Terms(learned, blind.stake))
    count = found.counted.count
    return Scored(
        leader=count.leader,
        score=count.score if found.kind is ResultKind.DECIDED and not blind.widened else 0.0,
        confidence=count.share,
        credit=credit(case.right, count.leader, count.level),
    )


def _with_loosest(spec: StrategySpec, asked: CertifySpec, learned: Learned | None) -> Learned:
    """What was learned, with a certificate for the strategy that every score but 0 reaches."""
    strategy = STRATEGIES[spec.name]
    loosest = Certificate(
        strategy=rule_of(spec.name, spec.parameters),
        measure=strategy.measure,
        alpha=asked.alpha,
        delta=asked.delta,
        threshold=LEAST_THRESHOLD,
        cases=0,
        reason="the loosest threshold that there is",
    )
    known = learned or Learned(version=1, rates={}, mean_rate=0.5)
    return replace(known, withdrawn=None, certificates={loosest.strategy: loosest})
