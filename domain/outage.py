"""Telling of something that is away: when it begins, now and then while it lasts, and when it is over."""

import time
from collections.abc import Callable

EVERY_SECONDS = 15.0


class Outage:
    """What is tried again every second must not say so every second."""

    def __init__(
        self,
        what: str,
        tell: Callable[[str], None],
        every: float = EVERY_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what, self._tell, self._every, self._clock = what, tell, every, clock
        self._began: float | None = None
        self._told = 0.0

    def goes_on(self, why: object) -> None:
        """It is away, or still is."""
        now = self._clock()
        if self._began is None:
            self._began = now
        elif now - self._told < self._every:
            return
        self._told = now
        self._tell(f"{self._what}, trying again: {str(why).strip()}")

    def is_over(self) -> None:
        """It is there; nothing is said where it never was away."""
        if self._began is not None:
            self._tell(f"{self._what}: over after {self._clock() - self._began:.0f} s")
            self._began = None
