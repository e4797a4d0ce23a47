"""A ballot and a strategy give a result."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.decision import Result, ResultKind
from domain.task_type import StrategySpec
from negotiation.fractions import exact_fraction
from negotiation.strategies import STRATEGIES
from negotiation.strategy import TIE, Count
from negotiation.votes import Ballot


@dataclass(frozen=True, slots=True)
class _Finding:
    kind: ResultKind
    option: str | None
    reason: str


def settle(spec: StrategySpec, options: Sequence[str], ballot: Ballot) -> Result:
    """The result of one ballot. Raises ValueError for a configuration that `check_strategy` refuses."""
    if spec.name not in STRATEGIES:
        raise ValueError(f"strategy.name: unknown strategy '{spec.name}'")
    strategy = STRATEGIES[spec.name]
    parameters = strategy.Parameters.model_validate(spec.parameters)
    count = strategy.count(ballot.votes, options, parameters)
    casting = sum(vote.option is not None for vote in ballot.votes)
    finding = _short_of_quorum(spec, ballot, casting) or _judge(
        spec, count, strategy.least_share(parameters), _vetoers(ballot, count)
    )
    option = finding.option
    against = (item.persona for item in count.weights if item.option is not None and item.option != option)
    return Result(
        kind=finding.kind,
        option=option,
        margin=count.margin,
        tally=count.tally,
        weights=count.weights,
        dissent=tuple(against) if option is not None else (),
        rule=strategy.rule(parameters),
        round=ballot.round,
        reason=finding.reason,
        threshold=spec.escalate_below,
        present=len(ballot.votes),
        casting=casting,
        eligible=len(ballot.eligible),
        rejected=ballot.rejected,
    )


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


def _vetoers(ballot: Ballot, count: Count) -> str:
    return ", ".join(veto.persona for veto in ballot.vetoes if veto.option == count.leader)


def _judge(spec: StrategySpec, count: Count, least_share: float, vetoers: str) -> _Finding:
    leader = count.leader
    if leader is None:
        best = max(count.tally.values(), default=0.0)
        level = sorted(option for option, score in count.tally.items() if best - score <= TIE)
        return _Finding(ResultKind.STALEMATE, None, f"{' and '.join(level)} are level at {best:.4g}")
    vetoed = f"; vetoed by {vetoers}" if vetoers else ""
    if count.share < least_share - TIE:
        reason = f"{leader} leads with a share of {count.share:.4g}; {least_share:.4g} is needed{vetoed}"
        return _Finding(ResultKind.BELOW_THRESHOLD, leader, reason)
    if count.margin < spec.escalate_below - TIE:
        reason = f"{leader} leads by a margin of {count.margin:.4g}; {spec.escalate_below:.4g} is needed{vetoed}"
        return _Finding(ResultKind.BELOW_THRESHOLD, leader, reason)
    if vetoers:
        return _Finding(ResultKind.BLOCKED, None, f"{leader} would have won but is vetoed by {vetoers}")
    return _Finding(ResultKind.DECIDED, leader, f"{leader} wins by a margin of {count.margin:.4g}")
