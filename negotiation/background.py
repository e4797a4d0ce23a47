"""What memory held before a persona when it voted: structured facts alone, never a memory's text."""

from typing import Literal

from domain.model import Frozen


class Recalled(Frozen):
    """A memory that a persona's context held."""

    id: str
    kind: Literal["episodic", "semantic"]
    action: str | None = None
    """For an episode: what was done then."""
    right: bool | None = None
    """Whether that turned out right; None where it is not known."""


class Background(Frozen):
    """What stood before one persona in the deciding round.

    Its telemetry is not here: what a run measures anew each time stays out of a decision's record, and is joined when
    the explanation is read.
    """

    recalled: tuple[Recalled, ...] = ()
    degraded: str | None = None
    """Why memory could not be searched; None when it was."""
