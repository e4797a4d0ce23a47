"""What a negotiation ended with."""

from enum import StrEnum
from typing import Any, Literal

from domain.model import Frozen
from domain.proposal import Option


class ResultKind(StrEnum):
    """The closed set of results."""

    DECIDED = "decided"
    STALEMATE = "stalemate"
    NO_QUORUM = "no_quorum"
    BLOCKED = "blocked"
    BELOW_THRESHOLD = "below_threshold"


class Weight(Frozen):
    """What a persona's vote counted, and where that comes from."""

    persona: str
    option: str | None
    weight: float
    source: str


class Result(Frozen):
    """The outcome of applying a strategy to one round's votes."""

    kind: ResultKind
    option: str | None
    margin: float
    """In [0, 1]: how far the first option stands before the second."""
    tally: dict[str, float]
    """Option -> score."""
    weights: tuple[Weight, ...]
    dissent: tuple[str, ...]
    """Personas that cast for another option, ordered by id."""
    rule: str
    round: int
    reason: str
    threshold: float = 0.0
    """Least margin that was asked for."""
    score: float = 0.0
    """In [0, 1]: what a certified threshold is compared with."""
    measure: Literal["margin", "posterior"] = "margin"
    """What `score` is."""
    posterior: dict[str, float] | None = None
    """Option -> probability of being right; None where the strategy states none."""
    certified: float | None = None
    """The certified threshold in force; None where there is none."""
    calibration: int | None = None
    """Version of the calibration that weights and threshold come from."""
    present: int = 0
    casting: int = 0
    eligible: int = 0
    rejected: tuple[str, ...] = ()
    """Votes not counted, each with its reason."""


class Shadow(Frozen):
    """What a calibration that is not active yet would have decided on the same votes."""

    calibration: int
    kind: ResultKind
    option: str | None
    score: float


class Decision(Frozen):
    """A subtask's decision with its explanation."""

    task_id: str
    subtask_id: str
    result: Result
    option: Option | None
    reasons: tuple[str, ...]
    rounds: int
    snapshot_hash: str
    memory_degraded: bool = False
    """Whether memory could not be searched for the deciding round."""
    shadow: Shadow | None = None
    explanation: dict[str, Any]
