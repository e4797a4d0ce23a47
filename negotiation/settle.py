"""A ballot, a strategy and what was learned give a result."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from domain.decision import Result, ResultKind, Weight
from domain.task_type import CertifySpec, StrategySpec
from negotiation.fractions import exact_fraction
from negotiation.learned import Learned
from negotiation.strategies import STRATEGIES
from negotiation.strategy import Count, Strategy
from negotiation.thresholds import Opposition, has_margin, has_score, has_share, opposition, within
from negotiation.votes import Ballot, Vote

FALLBACK = "plurality"
"""Counted where a strategy lacks what it learns from; a person decides then."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a result depends on beside the strategy's configuration and the votes."""

    learned: Learned | None = None
    stake: float | None = None
    """Amount at stake in currency units; None where the task type names none."""


@dataclass(frozen=True, slots=True)
class _Finding:
    kind: ResultKind
    option: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class _Counted:
    strategy: Strategy
    parameters: Any
    count: Count
    missing: str | None
    """What the configured strategy lacks, where plurality was counted in its place."""


@dataclass(frozen=True, slots=True)
class Certified:
    """The certified threshold in force, or why there is none."""

    threshold: float | None
    reason: str


def certification(spec: StrategySpec) -> CertifySpec | None:
    """The error bound that a result has to keep; None where the strategy decides without one."""
    return CertifySpec() if spec.certify is None and spec.name == "calibrated_pool" else spec.certify


@dataclass(frozen=True, slots=True)
class Judged:
    """What a result says, before it is put into words vote by vote."""

    kind: ResultKind
    option: str | None
    reason: str
    counted: _Counted


def judge(spec: StrategySpec, options: Sequence[str], ballot: Ballot, terms: Terms | None = None) -> Judged:
    """What `settle` finds, at a fraction of its cost: for asking what another ballot would have given."""
    terms = terms or Terms()
    counted = _count(spec, options, ballot, terms.learned)
    casting = sum(vote.option is not None for vote in ballot.votes)
    finding = _short_of_quorum(spec, ballot, casting) or _judge(spec, counted, ballot, terms)
    return Judged(finding.kind, finding.option, finding.reason, counted)


def settle(spec: StrategySpec, options: Sequence[str], ballot: Ballot, terms: Terms | None = None) -> Result:
    """The result of one ballot. Raises ValueError for a configuration that `check_strategy` refuses."""
    found = judge(spec, options, ballot, terms)
    counted, learned = found.counted, terms.learned if terms is not None else None
    count, strategy = counted.count, counted.strategy
    against = (vote.persona for vote in ballot.votes if vote.option not in (None, found.option))
    standing = certified(spec, counted, learned)
    return Result(
        kind=found.kind,
        option=found.option,
        margin=count.margin,
        tally=count.tally,
        weights=_weights(counted, ballot.votes, learned),
        dissent=tuple(against) if found.option is not None else (),
        rule=strategy.rule(counted.parameters),
        round=ballot.round,
        reason=found.reason,
        threshold=spec.escalate_below,
        score=count.score,
        measure=strategy.measure,
        posterior=count.posterior,
        # It is certified for the blind vote alone.
        certified=standing.threshold if standing is not None and ballot.round == 0 else None,
        calibration=learned.version if learned is not None else None,
        present=len(ballot.votes),
        casting=sum(vote.option is not None for vote in ballot.votes),
        eligible=len(ballot.eligible),
        rejected=ballot.rejected,
    )


def count_ballot(spec: StrategySpec, options: Sequence[str], ballot: Ballot, terms: Terms | None = None) -> Count:
    """The count alone: who leads, before quorum, vetoes and thresholds are looked at."""
    return _count(spec, options, ballot, terms.learned if terms is not None else None).count


def _count(spec: StrategySpec, options: Sequence[str], ballot: Ballot, learned: Learned | None) -> _Counted:
    if spec.name not in STRATEGIES:
        raise ValueError(f"strategy.name: unknown strategy '{spec.name}'")
    strategy = STRATEGIES[spec.name]
    missing = lacking(strategy, learned)
    if missing is not None:
        strategy = STRATEGIES[FALLBACK]
    parameters = strategy.Parameters.model_validate({} if missing is not None else spec.parameters)
    count = strategy.count(ballot.votes, options, parameters, learned)
    return _Counted(strategy, parameters, count, missing)


def lacking(strategy: Strategy, learned: Learned | None) -> str | None:
    """What the strategy needs and is not there; None when it can count."""
    if strategy.needs == "nothing":
        return None
    if learned is None:
        return "no calibration is active"
    if not learned.readable:
        return learned.withdrawn or f"calibration {learned.version} cannot be read"
    if strategy.needs == "pool" and learned.pool is None:
        return f"calibration {learned.version} has no pool"
    return None


def _weights(counted: _Counted, votes: Sequence[Vote], learned: Learned | None) -> tuple[Weight, ...]:
    return tuple(
        Weight(persona=vote.persona, option=vote.option, weight=weight, source=_source(counted, vote, learned))
        for vote, weight in zip(votes, counted.count.weights, strict=True)
    )


def _source(counted: _Counted, vote: Vote, learned: Learned | None) -> str:
    if vote.option is None:
        return f"abstains, round {vote.round}"
    note = f"; {vote.note}" if vote.note else ""
    return f"{counted.strategy.source(vote, counted.parameters, learned)}, round {vote.round}{note}"


def _short_of_quorum(spec: StrategySpec, ballot: Ballot, casting: int) -> _Finding | None:
    quorum = exact_fraction(spec.quorum)
    present, eligible = len(ballot.votes), len(ballot.eligible)
    if present * quorum.denominator < quorum.numerator * eligible or eligible == 0:
        reason = f"{present} of {eligible} personas are present; the quorum is {spec.quorum}"
        return _Finding(ResultKind.NO_QUORUM, None, reason)
    if casting < spec.min_casting:
        reason = f"{casting} of {present} present cast a vote; at least {spec.min_casting} must"
        return _Finding(ResultKind.NO_QUORUM, None, reason)
    return None


def _judge(spec: StrategySpec, counted: _Counted, ballot: Ballot, terms: Terms) -> _Finding:
    count = counted.count
    leader = count.leader
    if leader is None:
        if not count.level:
            return _Finding(ResultKind.STALEMATE, None, "no option leads")
        best = max(count.tally[option] for option in count.level)
        return _Finding(ResultKind.STALEMATE, None, f"{' and '.join(count.level)} are level at {best:.4g}")
    blocked = _blocked(opposition(spec, leader, ballot))
    short = _short(spec, counted, leader) or _uncertified(spec, counted, leader, ballot.round, terms)
    if short is not None:
        reason = f"{short}; {blocked}" if blocked else short
        return _Finding(ResultKind.BELOW_THRESHOLD, leader, reason)
    if blocked:
        return _Finding(ResultKind.BLOCKED, None, f"{leader} would have won but is {blocked}")
    return _Finding(ResultKind.DECIDED, leader, _won(counted, leader))


def _won(counted: _Counted, leader: str) -> str:
    if counted.strategy.measure == "posterior":
        return f"{leader} wins with a posterior of {counted.count.score:.4g}"
    return f"{leader} wins by a margin of {counted.count.margin:.4g}"


def _blocked(found: Opposition) -> str:
    if found.vetoed_by:
        return f"vetoed by {', '.join(found.vetoed_by)}"
    if not found.minority:
        return ""
    return f"blocked by a minority of {len(found.against)} of {found.present} present ({found.needed} block)"


def _short(spec: StrategySpec, counted: _Counted, leader: str) -> str | None:
    """Why the leader's lead is too small; None when it is not."""
    count, least_share = counted.count, counted.strategy.least_share(counted.parameters)
    if not has_share(count, least_share):
        if count.lacks is not None:
            return f"{leader} leads with {count.lacks}"
        return f"{leader} leads with a share of {count.share:.4g}; {least_share:.4g} is needed"
    if not has_margin(count, spec.escalate_below):
        return f"{leader} leads by a margin of {count.margin:.4g}; {spec.escalate_below:.4g} is needed"
    return None


def _uncertified(spec: StrategySpec, counted: _Counted, leader: str, round: int, terms: Terms) -> str | None:
    """Why the strategy may not decide this case without a person; None when it may."""
    if counted.missing is not None:
        return f"{counted.missing}: {FALLBACK} was counted, {leader} leads, a person decides"
    asked = certification(spec)
    if asked is None:
        return None
    standing = _standing(spec, counted, terms.learned)
    if standing.threshold is None:
        return f"{leader} leads, and a person decides: {standing.reason}"
    if asked.stake_limit is not None and not within(terms.stake, asked.stake_limit):
        at_stake = "an unknown amount" if terms.stake is None else f"{terms.stake:g}"
        return f"{leader} leads, and a person decides: {at_stake} is at stake; the limit is {asked.stake_limit:g}"
    if round > 0:
        brought = f"round {round}'s goes to a person with what the debate brought"
        return f"{leader} leads; the threshold is certified for the blind vote; {brought}"
    if not has_score(counted.count, standing.threshold):
        reached = f"a {counted.strategy.measure} of {counted.count.score:.4g}"
        return f"{leader} leads with {reached}; the certified threshold is {standing.threshold:.4g}"
    return None


def certified(spec: StrategySpec, counted: _Counted, learned: Learned | None) -> Certified | None:
    """What is certified for the strategy that was counted; None where it decides without a threshold."""
    return _standing(spec, counted, learned) if certification(spec) is not None else None


def _standing(spec: StrategySpec, counted: _Counted, learned: Learned | None) -> Certified:
    """The certified threshold that holds for this strategy and error bound, or why there is none."""
    asked = certification(spec)
    if learned is None:
        return Certified(None, "no calibration is active")
    if learned.withdrawn is not None:
        return Certified(None, learned.withdrawn)
    rule = counted.strategy.rule(counted.parameters)
    found = learned.certificates.get(rule)
    if found is None or counted.missing is not None:
        return Certified(None, f"calibration {learned.version} certifies nothing for {rule}")
    if asked is not None and (found.alpha > asked.alpha or found.delta > asked.delta):
        bound = f"alpha {found.alpha:g} and delta {found.delta:g}"
        return Certified(None, f"calibration {learned.version} certifies {bound} only")
    return Certified(found.threshold, found.reason)
