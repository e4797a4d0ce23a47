"""The statements that may be given to the person concerned."""

from collections.abc import Sequence
from itertools import zip_longest

from domain.decision import Result
from domain.proposal import Proposal


def stated_reasons(result: Result, proposals: Sequence[Proposal], limit: int = 4) -> tuple[str, ...]:
    """Reasons of those whose vote counts for the result's option: each one's first, weightiest persona first."""
    if result.option is None:
        return ()
    weights = {item.persona: item.weight for item in result.weights if item.option == result.option}
    supporting = [p for p in proposals if p.option == result.option and p.persona in weights]
    supporting.sort(key=lambda proposal: (-weights[proposal.persona], proposal.persona))
    stated: dict[str, None] = {}
    for layer in zip_longest(*(proposal.reasons for proposal in supporting)):
        stated.update(dict.fromkeys(reason.strip() for reason in layer if reason is not None and reason.strip()))
    return tuple(stated)[: max(limit, 0)]
