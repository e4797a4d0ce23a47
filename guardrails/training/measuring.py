"""Leave-one-source-out: what the detector makes of a source when neither weights nor threshold have seen it.

For each group of related sources: the weights are fitted without it and without what is nearly the same as one of its
texts; the threshold is the one at which a share of the other sources' benign text is mistaken, each of these sources
scored by weights that have seen neither it nor the group. Our own texts and the rules are in every fit.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from guardrails.training.corpora import INDIRECT
from guardrails.training.fitting import Design, Floats, Mask, Prepared, fit

FALSE_POSITIVES = 0.01

Step = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Rate:
    """Texts of one source with one label."""

    source: str
    kind: str
    """attack, indirect attack, benign or hard benign."""
    texts: int
    flagged: float
    """Share at or above the threshold."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What leaving one source out after another gives."""

    rates: tuple[Rate, ...]
    f1: float
    """All attacks against all benign texts, pooled."""
    f1_direct: float
    """Without indirect attacks."""
    recall_direct: float
    """Mean over the direct attack sources."""
    recall_direct_pooled: float
    """Over all their texts."""
    false_positives: float
    """Share of all benign texts, hard ones among them."""
    over_refusal: float
    """Share of the hard benign texts."""


class LeftOut:
    """Scores of every text by weights that have not seen some groups; each fit is made once."""

    def __init__(self, prepared: Prepared, own: Prepared, design: Design, step: Step = lambda: None) -> None:
        self._all, self._own, self._design, self._step = prepared, own, design, step
        self._kept: dict[frozenset[str], Floats] = {}

    def scores(self, *groups: str) -> Floats:
        """Log odds of all texts."""
        key = frozenset(groups)
        if key not in self._kept:
            out = np.isin(self._all.groups, groups)
            weights = fit(self._all, ~out & ~self._all.like(out), self._own, self._design)
            self._kept[key] = self._all.scores(weights)
            self._step()
        return self._kept[key]

    def unseen(self, also: str | None = None) -> Floats:
        """Each benign text's log odds by weights that have not seen its group, nor the group `also`; NaN elsewhere."""
        found = np.full(len(self._all.texts), np.nan)
        for group in benign_groups(self._all):
            mask = (self._all.groups == group) & (self._all.labels == 0)
            if group != also:
                found[mask] = self.scores(*{group, also} - {None})[mask]  # type: ignore[arg-type]
        return found


def benign_groups(prepared: Prepared) -> list[str]:
    """Groups that have benign texts."""
    return sorted(set(prepared.groups[prepared.labels == 0]))


def fits_needed(prepared: Prepared) -> int:
    """How often `measure` fits."""
    groups, benign = sorted(set(prepared.groups)), set(benign_groups(prepared))
    return len(groups) + sum(bool({one, other} & benign) for one, other in combinations(groups, 2))


def threshold(scores: Floats, share: float = FALSE_POSITIVES) -> float:
    """Log odds that this share of the scores, NaN aside, lies above."""
    return float(np.nanquantile(scores, 1.0 - share, method="higher"))


def measure(prepared: Prepared, left: LeftOut) -> Measured:
    """Everything, source by source."""
    flagged = np.zeros(len(prepared.texts), dtype=np.bool_)
    for group in sorted(set(prepared.groups)):
        mine = prepared.groups == group
        flagged[mine] = left.scores(group)[mine] > threshold(left.unseen(also=group))
    return summary(prepared, flagged)


def summary(prepared: Prepared, flagged: Mask) -> Measured:
    """Rates and totals of flags that each text got while its group was left out."""
    attack, hard = prepared.labels == 1, np.array([text.hard for text in prepared.texts])
    indirect = attack & np.isin(prepared.sources, list(INDIRECT))
    direct = attack & ~indirect
    kinds = {"attack": direct, "indirect attack": indirect, "benign": ~attack & ~hard, "hard benign": hard}
    rates = tuple(
        Rate(source, kind, int(chosen.sum()), float(flagged[chosen].mean()))
        for kind, mask in kinds.items()
        for source in _in_order(prepared.sources[mask])
        if (chosen := mask & (prepared.sources == source)).any()
    )
    return Measured(
        rates=rates,
        f1=_f1(flagged, attack, ~attack),
        f1_direct=_f1(flagged, direct, ~attack),
        recall_direct=float(np.mean([rate.flagged for rate in rates if rate.kind == "attack"])),
        recall_direct_pooled=float(flagged[direct].mean()),
        false_positives=float(flagged[~attack].mean()),
        over_refusal=float(flagged[hard].mean()) if hard.any() else 0.0,
    )


def _f1(flagged: Mask, attack: Mask, benign: Mask) -> float:
    hits, false = int((flagged & attack).sum()), int((flagged & benign).sum())
    return 2 * hits / max(int(attack.sum()) + hits + false, 1)


def _in_order(names: Iterable[str]) -> list[str]:
    return sorted(set(names))
