"""How a task type sets up its filters; thresholds are policy's."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from domain.guard import Hop
from domain.model import Frozen

MiddlewareStrategy = Literal["block", "redact", "mask", "hash"]
MiddlewareType = Literal["email", "credit_card", "ip", "mac_address", "url"]
ReviewDecision = Literal["approve", "edit", "reject"]


class JudgeSpec(Frozen):
    """A language model that looks at what is about to be done. A key is never given here, only its variable's name."""

    model: str = Field(min_length=1)
    provider: str = Field(default="openai", min_length=1)
    """A LangChain model provider: openai, anthropic, ..."""
    base_url: str | None = Field(default=None, pattern=r"^https?://")
    """An endpoint of one's own. The provider's usual key is not sent there, only that of `api_key_env`."""
    api_key_env: str | None = Field(default=None, pattern=r"^[A-Z][A-Z0-9_]*$")
    hops: tuple[Literal[Hop.ARGUMENTS, Hop.PROPOSAL], ...] = Field(default=(Hop.ARGUMENTS,), min_length=1)
    low_risk_too: bool = False
    """Whether actions that the task type calls low-risk are judged as well."""
    timeout_seconds: float = Field(default=20.0, gt=0, le=300)
    max_tokens: int = Field(default=300, ge=16, le=4096)
    max_chars: int = Field(default=20_000, ge=1, le=200_000)
    """A longer text is not judged, which counts as a failure: what is cut off could be what matters."""
    seed: int | None = None


class FormSpec(Frozen):
    """What counts as malformed text."""

    max_chars: int = Field(default=100_000, ge=1, le=1_000_000)
    """Of all text that a hop's filters read."""
    blob_chars: int = Field(default=256, ge=64)
    """The shortest unbroken run of base64 or hexadecimal digits that is a blob."""


class PiiMiddlewareSpec(Frozen):
    """LangChain's PIIMiddleware."""

    name: Literal["pii"]
    types: tuple[MiddlewareType, ...] = Field(min_length=1)
    strategy: MiddlewareStrategy = "redact"


class HumanReviewSpec(Frozen):
    """LangChain's HumanInTheLoopMiddleware."""

    name: Literal["human_in_the_loop"]
    actions: tuple[str, ...] = Field(min_length=1)
    """Actions of the task type that a person is asked about."""
    decisions: tuple[ReviewDecision, ...] = Field(default=("approve", "edit", "reject"), min_length=1)


MiddlewareSpec = Annotated[PiiMiddlewareSpec | HumanReviewSpec, Field(discriminator="name")]


class GuardsSpec(Frozen):
    """The filters of a task type, as far as they can be chosen."""

    pii: Literal["core", "presidio"] = "core"
    """`presidio`: its pattern recognisers read besides the core's own; it needs the extra of that name."""
    form: FormSpec = FormSpec()
    judge: JudgeSpec | None = None
    """None: no model looks, and policy asks a person for what is risky."""
    middleware: tuple[MiddlewareSpec, ...] = ()
    """LangChain middleware to run as guards."""
    time_limit_seconds: float = Field(default=5.0, gt=0, le=300)
    """For all filters that read by themselves, over what is judged at one time."""

    @model_validator(mode="after")
    def _one_review(self) -> "GuardsSpec":
        if sum(isinstance(spec, HumanReviewSpec) for spec in self.middleware) > 1:
            raise ValueError("middleware: human_in_the_loop at most once, with all its actions")
        return self
