"""Histories one after the other, each checked."""

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.simulator.history import History
from tests.simulator.invariants import broken
from tests.simulator.stage import Stage, open_stage


@dataclass(frozen=True)
class Played:
    """A history and what is wrong with it."""

    seed: int
    end: str
    lines: tuple[str, ...]
    broken: tuple[str, ...]

    def as_json(self, *, lines: bool) -> dict[str, Any]:
        """Plain JSON."""
        told = list(self.lines) if lines else []
        return {"seed": self.seed, "end": self.end, "lines": told, "broken": list(self.broken)}


async def play(stage: Stage, seed: int) -> Played:
    """One history."""
    history = History(seed, stage)
    await history.play()
    wrong = await broken(history)
    end = (await history.look()).status
    return Played(seed, end, tuple(history.lines), tuple(wrong))


async def play_all(dsn: str, folder: Path, seeds: Sequence[int], *, keep_going: bool = False) -> list[Played]:
    """Up to the first that breaks an invariant, unless told to `keep_going`."""
    played: list[Played] = []
    async with open_stage(dsn, folder) as stage:
        for seed in seeds:
            played.append(await play(stage, seed))
            if played[-1].broken and not keep_going:
                break
    gc.collect()
    return played
