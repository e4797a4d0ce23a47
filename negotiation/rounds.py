"""The rounds of one subtask's negotiation: options, results, next steps and the table before each persona."""

from collections.abc import Sequence

from domain.decision import Result
from domain.proposal import Option, Proposal
from domain.task_type import StrategySpec
from negotiation.options import Widening, declared_options, widen, widening
from negotiation.settle import Terms, settle
from negotiation.steps import Step, next_step
from negotiation.table import Table, table_for
from negotiation.votes import cast_ballots

__all__ = [
    "Step",
    "Table",
    "Terms",
    "Widening",
    "declared_options",
    "next_step",
    "resolve",
    "table_for",
    "widen",
    "widening",
]


def resolve(
    spec: StrategySpec,
    options: Sequence[Option],
    eligible: Sequence[str],
    rounds: Sequence[Sequence[Proposal]],
    overdue: bool = False,
    terms: Terms | None = None,
) -> Result:
    """Decide on the last round. `overdue`: a persona absent from it counts with its last valid vote.

    Raises ValueError when there is no round.
    """
    if not rounds:
        raise ValueError("a negotiation has at least one round")
    ballot = cast_ballots(options, eligible, rounds, overdue)[-1]
    return settle(spec, [option.name for option in options], ballot, terms)
