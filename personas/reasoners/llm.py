"""A language model through LangChain, held to a schema. Whatever goes wrong is a ReasonerError, never a guess."""

import asyncio
import os
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, field_validator

from domain.canonical import canonical_json
from domain.errors import ReasonerError
from domain.memory import PersonaContext
from domain.model import Frozen
from domain.persona import Persona
from domain.ports import Reasoner
from domain.proposal import Option, Proposal, Telemetry
from personas.reasoners.failure import CostlyFailure
from personas.reasoners.llm_answer import ABSTAIN, on_show, read, schema

PROMPTS = Path(__file__).resolve().parent.parent / "prompts"


class Parameters(Frozen):
    """Which model, and how it is asked. Keys are never given here, only the name of the variable that holds one."""

    model: str = Field(min_length=1)
    provider: str = Field(min_length=1)
    """A LangChain model provider: openai, anthropic, ..."""
    base_url: str | None = Field(default=None, pattern=r"^https?://")
    """An endpoint of one's own. The provider's usual key is not sent there, only that of `api_key_env`."""
    api_key_env: str | None = Field(default=None, pattern=r"^[A-Z][A-Z0-9_]*$")
    prompt: str = Field(default="panelist", pattern=r"^[a-z][a-z0-9_]*$")
    """A file of `personas/prompts`, without its ending."""
    timeout_seconds: float = Field(default=30.0, gt=0, le=600)
    max_tokens: int = Field(default=600, ge=16, le=8192)
    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    seed: int | None = None

    @field_validator("prompt")
    @classmethod
    def _exists(cls, name: str) -> str:
        if not (PROMPTS / f"{name}.md").is_file():
            raise ValueError(
                f"no prompt of that name; there are {', '.join(sorted(f.stem for f in PROMPTS.glob('*.md')))}"
            )
        return name


@dataclass
class LlmReasoner:
    """Asks the model once a proposal; retries belong to the stage."""

    parameters: Parameters
    prompt: str
    """The prompt's text."""
    _client: Any = field(default=None, repr=False)

    async def propose(
        self, persona: Persona, context: PersonaContext, options: Sequence[Option]
    ) -> tuple[Proposal, Telemetry]:
        """The model's vote. Raises ReasonerError for a time-out, an endpoint's error and every unusable answer."""
        shown = on_show(context)
        shared = list(dict.fromkeys(str(item["id"]) for item in context.shared))
        message = await self._ask(persona, context, options, list(shown), shared)
        telemetry = self._cost(persona, context, message)
        try:
            answer = read(message.content, options, list(shown), shared)
        except ReasonerError as error:
            raise CostlyFailure(str(error), telemetry) from error
        proposal = Proposal(
            persona=persona.id,
            persona_version=persona.version,
            round=context.round,
            option=None if answer.option == ABSTAIN else answer.option,
            confidence=answer.confidence,
            rationale=answer.rationale,
            ranking=tuple(answer.ranking),
            reasons=tuple(answer.reasons),
            evidence=tuple(shown[name] for name in dict.fromkeys(answer.evidence)),
            cites=tuple(dict.fromkeys(answer.cites)),
            reasoner="llm",
        )
        return proposal, telemetry

    async def _ask(
        self,
        persona: Persona,
        context: PersonaContext,
        options: Sequence[Option],
        ids: Sequence[str],
        shared: Sequence[str],
    ) -> Any:
        system = string.Template(self.prompt).safe_substitute(persona=persona.id, role=persona.role)
        shown = context.model_dump(mode="json", exclude={"persona", "truncated", "degraded"})
        messages = [("system", system), ("human", canonical_json(shown | {"evidence_ids": list(ids)}))]
        try:
            async with asyncio.timeout(self.parameters.timeout_seconds):
                if self._client is None:
                    # Off the loop: the import alone takes seconds.
                    self._client = await asyncio.to_thread(_connect, self.parameters)
                # The raw message is read here: LangChain's own parse would accept NaN and drop the token count.
                asked = self._client.with_structured_output(
                    schema(options, ids, shared), method="json_schema", include_raw=True
                )
                return (await asked.ainvoke(messages))["raw"]
        except TimeoutError as error:
            raise ReasonerError(f"the model gave no answer within {self.parameters.timeout_seconds:g} s") from error
        except ReasonerError:
            raise
        except Exception as error:
            # Providers raise errors of their own kinds. Only the kind is kept: a text may repeat the request or a key.
            status = getattr(error, "status_code", None)
            detail = f" {status}" if isinstance(status, int) else ""
            raise ReasonerError(f"the model's endpoint failed: {type(error).__name__}{detail}") from None

    def _cost(self, persona: Persona, context: PersonaContext, message: Any) -> Telemetry:
        used = message.usage_metadata or {}
        return Telemetry(
            persona=persona.id,
            round=context.round,
            latency_ms=0.0,
            prompt_tokens=int(used.get("input_tokens", 0)),
            completion_tokens=int(used.get("output_tokens", 0)),
            model=self.parameters.model,
        )


def build(persona: Persona, parameters: Mapping[str, Any]) -> Reasoner:
    """The reasoner of these parameters. Raises pydantic.ValidationError."""
    asked = Parameters.model_validate(parameters)
    return LlmReasoner(asked, (PROMPTS / f"{asked.prompt}.md").read_text(encoding="utf-8"))


def _connect(parameters: Parameters) -> Any:
    # Imported here: LangChain and a provider's client take seconds, which scorecard panels need not pay.
    from langchain.chat_models import init_chat_model

    settings: dict[str, Any] = {
        "temperature": parameters.temperature,
        "max_tokens": parameters.max_tokens,
        "timeout": parameters.timeout_seconds,
        "max_retries": 0,
    }
    if parameters.seed is not None:
        settings["seed"] = parameters.seed
    if parameters.base_url is not None:
        settings["base_url"] = parameters.base_url
        settings["api_key"] = SecretStr("none")
    if parameters.api_key_env is not None:
        key = os.environ.get(parameters.api_key_env)
        if not key:
            raise ReasonerError(f"the environment variable {parameters.api_key_env} is not set")
        settings["api_key"] = SecretStr(key)
    return init_chat_model(parameters.model, model_provider=parameters.provider, **settings)
