"""The contract of a kind of task, as its YAML file says it."""

from datetime import timedelta
from typing import Any, Literal

from pydantic import Field, model_validator

from domain.acting import BreakerSpec, CompensateSpec, FallbackSpec, NamedExecutor
from domain.asking import ApprovalsSpec, Asks
from domain.guards_spec import GuardsSpec
from domain.model import Frozen

OnDeadline = Literal["escalate", "default", "fail"]
Risk = Literal["low", "high", "irreversible"]
ArgumentType = Literal["integer", "number", "string", "boolean"]


class ActionSpec(Frozen):
    """An action that a subtask may decide for."""

    name: str
    counter_arguments: tuple[str, ...] = ()
    """Argument names that a counter-proposal may set on this action; empty: it cannot be counter-proposed."""
    argument_types: dict[str, ArgumentType] = Field(default_factory=dict)
    """Of those that policies ask about; the others are not for them to see. A value of another type is denied."""
    risk: Risk = "low"
    """What a mistake would cost; policies ask more of a high one, and most of what cannot be taken back."""
    side_effect: bool = True
    """Whether anything outside changes by it."""

    @model_validator(mode="after")
    def _types_of_arguments(self) -> "ActionSpec":
        unknown = sorted(self.argument_types.keys() - set(self.counter_arguments))
        if unknown:
            raise ValueError(f"argument_types: {unknown[0]!r} is not among counter_arguments")
        return self


class ContextContract(Frozen):
    """What a subtask's personas may be shown."""

    working: tuple[str, ...]
    """Payload fields."""
    episodic: int = Field(default=0, ge=0, le=50)
    """How many similar resolved tasks."""
    semantic: int = Field(default=0, ge=0, le=50)
    """How many facts."""
    max_tokens: int = Field(default=1500, ge=50)
    hide: tuple[str, ...] = ()
    """Payload fields that no persona is ever shown."""


class CertifySpec(Frozen):
    """When a strategy may decide without a person: only above a threshold that held on resolved cases."""

    alpha: float = Field(default=0.05, gt=0.0, lt=1.0)
    """Highest share of errors among the cases it decides."""
    delta: float = Field(default=0.1, gt=0.0, lt=1.0)
    """Highest probability that the share is exceeded nevertheless."""
    stake_limit: float | None = Field(default=None, ge=0.0)
    """In currency units; a case with more at stake goes to a person whatever its score."""
    audit: float = Field(default=0.02, ge=0.0, le=1.0)
    """Share of the decided cases that are drawn at random for a person to look at."""


class CalibratedSpec(Frozen):
    """The strategy that takes over once a calibration is active."""

    name: str = "calibrated_pool"
    parameters: dict[str, Any] = Field(default_factory=dict)
    certify: CertifySpec = CertifySpec()


class StrategySpec(Frozen):
    """The negotiation strategy with its rules."""

    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Checked by the strategy's own parameter model at load."""
    rounds: int = Field(default=2, ge=1, le=10)
    """At most, the blind one included."""
    auto_rounds: bool = False
    """`rounds: auto`: at most two, and the blind one alone where the resolved cases show that debate does not pay."""
    quorum: str = "2/3"
    """Least share of the eligible personas that must be present, as a fraction."""
    min_casting: int = Field(default=2, ge=1)
    escalate_below: float = Field(default=0.0, ge=0.0, le=1.0)
    """A decided result with a margin under this goes to a human."""
    certify: CertifySpec | None = None
    """Decide only above a certified threshold; `calibrated_pool` always does, with these defaults."""
    when_calibrated: CalibratedSpec | None = None
    """In force instead of `name`, `parameters`, `certify` and `escalate_below` from the first activation on."""
    blocking_minority: str | None = None
    """Share of those present, as a fraction, whose opposition blocks the leader."""
    deadline: timedelta | None = None
    """For the negotiation of one subtask."""
    safe_default: str | None = None
    """Action taken on a stalemate instead of asking a human."""
    stalemate: tuple[Literal["round", "safe_default", "human"], ...] = ("round", "safe_default", "human")
    """What is tried on a stalemate, in this order. `safe_default` without one named is passed over."""

    @model_validator(mode="before")
    @classmethod
    def _read_auto(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("rounds") == "auto":
            return {**data, "rounds": 2, "auto_rounds": True}
        return data


class RetrySpec(Frozen):
    """How often the executor is tried."""

    attempts: int = Field(default=3, ge=1, le=10)
    backoff: Literal["exponential", "fixed"] = "exponential"


class SubtaskSpec(Frozen):
    """One step of the plan, as the task type states it."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    question: str
    panel: tuple[str, ...] = Field(min_length=1)
    actions: tuple[ActionSpec, ...] = Field(min_length=1)
    context: ContextContract
    strategy: StrategySpec
    executor: str
    executor_parameters: dict[str, Any] = Field(default_factory=dict)
    depends_on: tuple[str, ...] = ()
    when: str | None = None
    """`<subtask>.action == <name>` or `!=`; the subtask is skipped when it does not hold."""
    required: bool = True
    """Whether its denial or failure ends the task."""
    deadline: timedelta | None = None
    on_deadline: OnDeadline = "escalate"
    """What comes of a negotiation past its deadline (or its strategy's) that the votes of the round under way do not
    decide: a question to a person, the strategy's `safe_default`, or the subtask's failure."""
    retry: RetrySpec = RetrySpec()
    breaker: BreakerSpec = BreakerSpec()
    fallback: FallbackSpec | None = None
    """Acts while the breaker is open; without one the subtask waits."""
    compensate: CompensateSpec | None = None
    """Undoes what the subtask did, where the task cannot go on."""

    def executors(self) -> tuple[NamedExecutor, ...]:
        """Each that is named: its own, who stands in for it, who undoes."""
        named = [NamedExecutor(self.executor, self.executor_parameters, ("executor_parameters",))]
        if self.fallback is not None:
            named.append(NamedExecutor(self.fallback.executor, self.fallback.parameters, ("fallback", "parameters")))
        if self.compensate is not None and self.compensate.executor is not None:
            named.append(
                NamedExecutor(self.compensate.executor, self.compensate.parameters, ("compensate", "parameters"))
            )
        return tuple(named)


class PlanSpec(Frozen):
    """How the plan is made."""

    planner: str = "template"
    concurrency: int = Field(default=4, ge=1, le=32)
    """How many subtasks of a task run at once."""
    max_running: int | None = Field(default=None, ge=1)
    """How many tasks of the type run at once, over all workers; None: as many as there are slots."""
    subtasks: tuple[SubtaskSpec, ...] = Field(min_length=1)


class Sla(Frozen):
    """Time limits. Time parked for a person counts against the second only."""

    deadline: timedelta
    """A task past it ends as `expired`."""
    approval_deadline: timedelta = timedelta(days=7)
    """How long a request to people stays open, over all roles of `approvals.chain`."""


class CaseColumns(Frozen):
    """How a CSV of cases maps to payloads."""

    key: str
    """Column that names the case."""
    outcome: str | None = None
    """Column with the known outcome; never part of the payload."""


def amount_of(value: object) -> float | None:
    """A payload field as an amount in currency units; None where it holds no number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


class TaskType(Frozen):
    """One kind of task."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    version: int = Field(ge=1)
    description: str = ""
    payload_schema: dict[str, Any]
    """JSON Schema (2020-12); unknown fields are refused."""
    outcome_map: dict[str, str] = Field(default_factory=dict)
    """Ground truth -> the action that was right."""
    answer: str
    """The subtask whose action answers the task."""
    stake_field: str | None = None
    """Payload field with the amount at stake, in currency units."""
    subject_field: str | None = None
    """Payload field that names the person whom a task is about, for `parley erase`; a case's key does too."""
    sla: Sla
    approvals: ApprovalsSpec = ApprovalsSpec()
    plan: PlanSpec
    policies: tuple[str, ...] = ("policies.cedar",)
    """Cedar files beside this one."""
    guards: GuardsSpec = GuardsSpec()
    cases: CaseColumns | None = None
    folder: str = ""
    """Where it was loaded from; set by the catalog."""

    @model_validator(mode="after")
    def _one_type_an_argument(self) -> "TaskType":
        self.argument_types()
        return self

    def argument_types(self) -> dict[str, ArgumentType]:
        """Of every argument that policies may ask about, over all actions. Raises ValueError where two differ."""
        found: dict[str, ArgumentType] = {}
        for spec in self.plan.subtasks:
            for action in spec.actions:
                for name, kind in action.argument_types.items():
                    if found.setdefault(name, kind) != kind:
                        raise ValueError(f"argument_types: {name!r} is a {found[name]} and a {kind}: give it one type")
        return dict(sorted(found.items()))

    def action(self, subtask_id: str, name: str) -> ActionSpec:
        """The declared action. Raises KeyError."""
        for action in self.subtask(subtask_id).actions:
            if action.name == name:
                return action
        raise KeyError(name)

    @property
    def asks(self) -> Asks:
        """Who has to answer an ordinary request."""
        asked = self.approvals
        return Asks(
            role=asked.role,
            quorum=asked.quorum,
            of=asked.of or asked.quorum,
            chain=asked.chain,
            strict=asked.strict,
        )

    def subtask(self, subtask_id: str) -> SubtaskSpec:
        """The subtask of that id. Raises KeyError."""
        for spec in self.plan.subtasks:
            if spec.id == subtask_id:
                return spec
        raise KeyError(subtask_id)
