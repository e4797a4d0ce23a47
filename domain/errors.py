"""The whole error tree.

ParleyError
├── InputError               the caller's input is wrong (exit code 2)
│   ├── CatalogError         a task type, persona, policy or facts file is broken
│   ├── PayloadError         a payload breaks its task type's schema
│   ├── UnknownTaskType
│   ├── NotFound             no such task, approval, ...
│   ├── IdempotencyConflict  same key, other body
│   ├── CaseFileError        a CSV or JSON-lines file cannot be used
│   ├── AnswerRefused        an approval's answer came late, twice, from the wrong person, or does not match
│   └── RoleRefused          a role cannot be granted or revoked so
├── RunError                 an attempt to move a task stops here
│   ├── LeaseLost            a newer fence stands: another worker owns the task
│   │   └── TaskEnded        the task has ended: no run of it writes any more
│   ├── TaskHalted           the task was cancelled or its deadline passed
│   ├── NotYet               an action has to wait: the task is given back for a while
│   └── TaskPaused           the task is to stop before its next node
├── ReasonerError            a persona's reasoner gave no usable proposal
├── JudgeError               a judge gave no usable opinion
├── ModelRefused             a fitted model is not the one that was shipped
├── ExecutorError            the outside refused or failed
│   ├── SendInDoubt          nothing tells whether it happened
│   └── ExecutorRejected     refused for good: a retry would not help
│       ├── OutboundRefused  by us: it is not to be called, and nothing was sent
│       └── TargetRefused    by the target itself, which works
├── CalibrationUnreadable    a stored calibration does not hold what one must
├── CalibrationRefused       a panel cannot be calibrated, or a calibration not be put in force
├── RedTeamRegression    the red team got through, or a gate fares worse than its baseline allows
├── ControlRefused           a task cannot be cancelled, paused or resumed as it stands
│   └── RowHeld              another transaction has its row locked
└── StackError               Postgres, Prefect or another part of the local stack is not usable
    └── PostgresAway         Postgres cannot be reached or refuses us, for now
"""


class ParleyError(Exception):
    """Something went wrong in Parley."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__class__.__doc__ or self.__class__.__name__)


class InputError(ParleyError):
    """The input cannot be used."""


class CatalogError(InputError):
    """A catalog file is broken. Names the file, the path inside it and what was expected."""

    def __init__(self, file: str, path: str, expected: str) -> None:
        self.file, self.path, self.expected = file, path, expected
        super().__init__(f"{file}: at {path or '(root)'}: {expected}")


class PayloadError(InputError):
    """The payload breaks the task type's schema."""


class UnknownTaskType(InputError):
    """There is no such task type."""


class NotFound(InputError):
    """There is no such record."""


class IdempotencyConflict(InputError):
    """The idempotency key was used before with another body."""


class CaseFileError(InputError):
    """The case file cannot be used."""


class AnswerRefused(InputError):
    """The approval's answer is refused."""


class RoleRefused(InputError):
    """The role cannot be granted or revoked so."""


class RunError(ParleyError):
    """This attempt to move the task stops here."""


class LeaseLost(RunError):
    """Another worker owns the task now."""


class TaskEnded(LeaseLost):
    """The task has ended as `status`, and no run of it writes any more, whatever its fence."""

    def __init__(self, status: str, message: str | None = None) -> None:
        self.status = status
        super().__init__(message)


class TaskHalted(RunError):
    """The task was cancelled or its deadline passed."""


class TaskPaused(RunError):
    """The task is to stop before its next node."""


class NotYet(RunError):
    """An action has to wait; `seconds` says for how long."""

    def __init__(self, seconds: float, message: str | None = None) -> None:
        self.seconds = seconds
        super().__init__(message)


class ReasonerError(ParleyError):
    """The persona's reasoner gave no usable proposal."""


class JudgeError(ParleyError):
    """The judge gave no usable opinion."""


class ModelRefused(ParleyError):
    """A fitted model is not the one that its card describes."""


class ExecutorError(ParleyError):
    """The executor's target failed."""


class SendInDoubt(ExecutorError):
    """The request went out, and nothing tells whether it took effect."""


class ExecutorRejected(ExecutorError):
    """It will not be done, however often it is tried."""


class TargetRefused(ExecutorRejected):
    """The target itself said so: it works, and did nothing for this request."""


class OutboundRefused(ExecutorRejected):
    """A host that is not allowed is not called."""


class CalibrationUnreadable(ParleyError):
    """The stored calibration does not hold what one must: it decides nothing."""


class CalibrationRefused(ParleyError):
    """The panel cannot be calibrated, or the calibration not be put in force."""


class RedTeamRegression(ParleyError):
    """The red team got through, or a gate fares worse than its baseline allows."""


class ControlRefused(ParleyError):
    """The task cannot be cancelled, paused or resumed as it stands."""


class RowHeld(ControlRefused):
    """Another transaction has the task's row locked."""


class StackError(ParleyError):
    """A part of the stack is not usable."""


class PostgresAway(StackError):
    """Postgres cannot be reached, or refuses us, for now."""
