"""What a subtask remembers: similar resolved tasks and facts, or why memory could not be searched."""

import asyncio
from datetime import datetime

from domain.memory import Recall
from domain.ports import MemoryIndex

TIMEOUT_SECONDS = 2.0


class IndexRecaller:
    """Recall from an index; see `domain.ports.Recaller`."""

    def __init__(self, index: MemoryIndex, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._index, self._timeout = index, timeout_seconds

    async def recall(self, task_type: str, text: str, episodic: int, semantic: int, as_of: datetime) -> Recall:
        """The best memories of each kind known at `as_of`. Never raises: a failing index gives a degraded recall."""
        try:
            async with asyncio.timeout(self._timeout):
                episodes = await self._index.search("episodic", task_type, text, episodic, as_of) if episodic else ()
                facts = await self._index.search("semantic", task_type, text, semantic, as_of) if semantic else ()
        except TimeoutError:
            return Recall(degraded=f"memory gave no answer within {self._timeout:g} s")
        except Exception as error:  # whatever broke, the panel decides without memory and says so
            return Recall(degraded=f"memory could not be searched ({type(error).__name__})")
        return Recall(episodes=tuple(episodes), facts=tuple(facts))
