"""The votes of many cases as arrays: what the pool's fit works on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from negotiation.calibration.cases import Case
from negotiation.strategies.calibrated_pool import logit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

UNVOTED = -1
"""In place of a cell: the right option has no vote."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Votes, ordered by case. A cell is an option of one case that has a vote; cells are ordered by case too."""

    personas: tuple[str, ...]
    voter: Ints
    """Of each vote: index of its persona."""
    cell: Ints
    """Of each vote."""
    hit: Bools
    """Of each vote: whether it is right."""
    logit: Floats
    """Of each vote: logit of its clipped confidence."""
    cell_case: Ints
    """Of each cell."""
    right: Ints
    """Of each case: the cell of the right option, or UNVOTED."""
    unvoted: Ints
    """Of each case: how many options have no vote."""
    known: Bools
    """Of each case: whether the right option is one of the declared."""

    @property
    def cases(self) -> int:
        """How many cases."""
        return len(self.right)

    @property
    def vote_case(self) -> Ints:
        """Of each vote: its case."""
        return self.cell_case[self.cell]

    def take(self, keep: Bools) -> "Panel":
        """Only the cases where `keep` holds; personas keep their index."""
        cells = keep[self.cell_case]
        votes = cells[self.cell]
        new_cell = np.where(cells, np.cumsum(cells) - 1, UNVOTED)
        new_case = np.cumsum(keep) - 1
        right = self.right[keep]
        return Panel(
            personas=self.personas,
            voter=self.voter[votes],
            cell=new_cell[self.cell[votes]],
            hit=self.hit[votes],
            logit=self.logit[votes],
            cell_case=new_case[self.cell_case[cells]],
            right=np.where(right == UNVOTED, UNVOTED, new_cell[right]),
            unvoted=self.unvoted[keep],
            known=self.known[keep],
        )


def panel_of(cases: Sequence[Case], options: Sequence[str], personas: Sequence[str]) -> Panel:
    """The votes of these personas for these options; cases in which none was cast are left out."""
    index: Mapping[str, int] = {persona: number for number, persona in enumerate(personas)}
    declared = frozenset(options)
    voter: list[int] = []
    cell: list[int] = []
    logits: list[float] = []
    cell_case: list[int] = []
    right: list[int] = []
    unvoted: list[int] = []
    known: list[bool] = []
    for case in cases:
        here: dict[str, int] = {}
        for vote in case.votes:
            if vote.option in declared and vote.option is not None and vote.persona in index:
                if vote.option not in here:
                    here[vote.option] = len(cell_case)
                    cell_case.append(len(right))
                voter.append(index[vote.persona])
                cell.append(here[vote.option])
                logits.append(logit(vote.confidence))
        if here:
            right.append(here.get(case.right, UNVOTED))
            unvoted.append(len(declared) - len(here))
            known.append(case.right in declared)
    cells, rights, of_case = np.asarray(cell, np.int64), np.asarray(right, np.int64), np.asarray(cell_case, np.int64)
    return Panel(
        personas=tuple(personas),
        voter=np.asarray(voter, np.int64),
        cell=cells,
        hit=rights[of_case[cells]] == cells,
        logit=np.asarray(logits, np.float64),
        cell_case=of_case,
        right=rights,
        unvoted=np.asarray(unvoted, np.int64),
        known=np.asarray(known, np.bool_),
    )


def shuffled(cases: Sequence[Case], seed: int) -> list[Case]:
    """The cases in an order that depends on their keys and the seed only."""
    return sorted(cases, key=lambda case: (digest(case.key, seed), case.key))


def digest(key: str, seed: int) -> bytes:
    """A number drawn for a case, the same in every process."""
    return sha256(f"{seed}:{key}".encode()).digest()
