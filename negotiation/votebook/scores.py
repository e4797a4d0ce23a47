"""Every item's score under a strategy, counted no more often than what the strategy reads changes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from negotiation.calibration.cases import Case, Scored
from negotiation.calibration.scoring import score_cases
from negotiation.learned import Learned
from negotiation.settle import FALLBACK, lacking
from negotiation.strategies import STRATEGIES
from negotiation.votebook.cases import Neutral, cases_of
from negotiation.votebook.reading import Item


class Scores:
    """Scores of a file's items."""

    def __init__(self, options: Sequence[str], items: Sequence[Item]) -> None:
        self._options = options
        self._items = items
        self._gaps = any(vote.confidence is None for item in items for vote in item.votes)
        self._missing: Neutral | None = None
        self._cases: list[Case] = []
        self._kept: dict[str, dict[str, Scored]] = {}

    def of(
        self, name: str, parameters: Mapping[str, Any], missing: Neutral, learned: Learned | None
    ) -> Mapping[str, Scored]:
        """By item. Where the strategy lacks what it learns from, plurality is counted and nothing is accepted."""
        self._fill(missing)
        if STRATEGIES[name].needs != "nothing" or parameters:
            return self._scored(name, parameters, learned)
        if name not in self._kept:
            self._kept[name] = self._scored(name, parameters, learned)
        return self._kept[name]

    def _fill(self, missing: Neutral) -> None:
        if self._missing is None or (self._gaps and missing != self._missing):
            self._missing, self._cases = missing, cases_of(self._items, missing)
            self._kept.clear()

    def _scored(self, name: str, parameters: Mapping[str, Any], learned: Learned | None) -> dict[str, Scored]:
        if lacking(STRATEGIES[name], learned) is not None:
            return {key: replace(one, score=0.0) for key, one in self._scored(FALLBACK, {}, learned).items()}
        found = score_cases(name, parameters, self._options, self._cases, learned)
        return {case.key: one for case, one in zip(self._cases, found, strict=True)}
