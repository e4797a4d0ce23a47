"""Builders for what a strategy counts."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from negotiation.strategies import STRATEGIES
from negotiation.strategy import Count
from negotiation.votes import Vote


def _votes(*said: str | Sequence[str] | None) -> list[Vote]:
    """One vote each for p00, p01, ...: an option of one letter, a ranking of several, or None for an abstention."""
    return [
        Vote(f"p{number:02}", word[0] if word else None, 0.8, 0, "", tuple(word) if word and len(word) > 1 else ())
        for number, word in enumerate(said)
    ]


@pytest.fixture(scope="session")
def votes() -> Callable[..., list[Vote]]:
    return _votes


@pytest.fixture(scope="session")
def count() -> Callable[..., Count]:
    def counted(name: str, votes: Sequence[Vote], options: Sequence[str] = "abc", **parameters: Any) -> Count:
        strategy = STRATEGIES[name]
        return strategy.count(votes, tuple(options), strategy.Parameters.model_validate(parameters), None)

    return counted
