"""What was learned from resolved cases, and how far it may be relied on."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from domain.model import Frozen

LEAST_DEBATES = 30
"""Debated cases below which nothing is said about what debate is worth."""


class CalibrationStatus(StrEnum):
    """Where a calibration stands."""

    SHADOW = "shadow"
    """It is computed beside every decision and decides nothing."""
    ACTIVE = "active"
    RETIRED = "retired"
    ALARMED = "alarmed"
    """The audits found more errors than it certified: the panel's decisions go to people."""


class Reliability(Frozen):
    """How often one persona was right, blind."""

    persona: str
    cases: int = Field(ge=0)
    """Resolved cases on which it cast a vote."""
    hits: int = Field(ge=0)
    rate: float = Field(gt=0.0, lt=1.0)
    """(hits + m mu) / (cases + m), clipped to [0.01, 0.99]."""
    below_chance: bool = False
    """Whether it is worse than guessing among the options: its vote weighs nothing in log_odds."""
    stated: float | None = None
    """Mean stated confidence; None where there is no case."""
    calibration_error: float | None = None
    """Mean distance between stated confidence and hit rate."""


class PoolWeight(Frozen):
    """A persona's vote in the calibrated pool counts base + slope (logit(confidence) - centre)."""

    base: float
    slope: float
    centre: float


class Pool(Frozen):
    """A fitted log-linear opinion pool."""

    weights: dict[str, PoolWeight]
    """By persona."""
    stranger: PoolWeight
    """For a persona that the fit did not see."""
    scale: float
    """s: what the log-odds of a persona's shrunk rate count in the pool; below 1 where personas err together."""
    ridge: float
    cases: int


class Certificate(Frozen):
    """A threshold on a strategy's score, and the error bound that it was found to keep."""

    strategy: str
    """The rule with its parameters."""
    measure: str
    """What the threshold is compared with: `margin` or `posterior`."""
    alpha: float = Field(gt=0.0, lt=1.0)
    delta: float = Field(gt=0.0, lt=1.0)
    threshold: float | None = Field(gt=0.0, le=1.0)
    """None: nothing certifies, everything goes to people. A score of 0 is never accepted."""
    cases: int = Field(ge=0)
    """Certification cases."""
    accepted: int = Field(default=0, ge=0)
    errors: int = Field(default=0, ge=0)
    reason: str


class DebateGain(Frozen):
    """What the rounds after the blind one changed, over resolved cases that held one."""

    cases: int = Field(ge=0)
    wrong_to_right: int = Field(ge=0)
    right_to_wrong: int = Field(ge=0)

    @property
    def pays(self) -> bool | None:
        """Whether more was put right than wrong; None where too few cases say so."""
        return None if self.cases < LEAST_DEBATES else self.net > 0

    @property
    def net(self) -> int:
        """Cases put right less cases put wrong."""
        return self.wrong_to_right - self.right_to_wrong


class Contract(Frozen):
    """What the panel was asked, as its personas see it; empty in a calibration of before this was kept."""

    declared: tuple[str, ...] = ()
    """The declared actions' names, in their order."""
    question: str = ""
    """Digest."""
    context: str = ""
    """Digest of what the personas are shown, and of what is hidden from them."""
    actions: str = ""
    """Digest of the declared actions with the arguments that a counter-proposal may set."""


class Calibration(Frozen):
    """One version of what a subtask's panel was found to be worth."""

    task_type: str
    subtask_id: str
    version: int = Field(ge=1)
    strategy: str
    """Name of the strategy that it was made for."""
    panel: dict[str, int]
    """Persona -> version. A panel of others is not covered."""
    options: int = Field(ge=2)
    """How many options were declared."""
    contract: Contract = Contract()
    """What they were declared for. A panel that is asked something else is not covered."""
    mean_rate: float = Field(gt=0.0, lt=1.0)
    """mu: hits over cases of all personas."""
    reliabilities: tuple[Reliability, ...]
    pool: Pool | None
    certificates: tuple[Certificate, ...]
    """One for each strategy that was measured."""
    debate: DebateGain
    first_case_at: datetime
    last_case_at: datetime
    fit_cases: int = Field(ge=0)
    certify_cases: int = Field(ge=0)
    test_cases: int = Field(ge=0)
    figures: dict[str, Any]
    """Strategy -> its figures on the test cases."""
    seed: int


class Audit(Frozen):
    """An auto-decided case that was drawn for a person to look at."""

    task_id: str
    subtask_id: str
    calibration_version: int
    right: bool | None
    """None until its outcome is known."""
