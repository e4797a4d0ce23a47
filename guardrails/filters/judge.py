"""Asks a language model, through LangChain, how harmful it is what is about to be done. No answer is a failure."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from domain.canonical import canonical_json, digest
from domain.errors import JudgeError
from domain.guard import Finding, Hop, Subject
from domain.guards_spec import JudgeSpec
from domain.ports import Guard
from domain.task_type import TaskType
from guardrails.extras import require
from guardrails.filters.leaving_secrets import LeavingSecrets
from guardrails.filters.pii import Pii
from guardrails.filters.secrets import Secrets
from guardrails.judge_answer import read, schema
from guardrails.redaction import redacted

PROMPT = (Path(__file__).resolve().parent.parent / "prompts" / "judge.md").read_text(encoding="utf-8")
CATEGORY = "judged"
"""Of every finding: that there is one says that a judge looked."""


def build(task_type: TaskType) -> "Judge":
    """The filter; it stands at no hop where the task type names no model. Raises CatalogError."""
    spec = task_type.guards.judge
    if spec is not None and spec.provider == "openai":
        require(task_type, "guards.judge.provider", "langchain_openai", "openai")
    return Judge(spec)


class Judge:
    """A model's opinion; always a finding, of score 0 where it saw nothing."""

    id: str = "judge"

    def __init__(self, spec: JudgeSpec | None) -> None:
        self._spec = spec
        self.hops: frozenset[Hop] = frozenset(spec.hops if spec else ())
        # Beyond the client's own limit, which tells more.
        self.time_limit = spec.timeout_seconds + 1.0 if spec else 1.0
        self.version = f"1+{digest([PROMPT, spec.model_dump(mode='json') if spec else None])[:8]}"
        self._hiding: Sequence[Guard] = (Secrets(), LeavingSecrets(), Pii())
        self._client: Any = None

    def prepare(self) -> None:
        """Load LangChain and the provider's client, which takes seconds."""
        if self._spec is not None and self._client is None:
            self._client = _connect(self._spec)

    async def check(self, subject: Subject) -> Finding | None:
        """The model's opinion; None only for an action of low risk, where those are not judged.

        Raises JudgeError for an endpoint's error and every unusable answer.
        """
        spec = self._spec
        if spec is None or (subject.facts.get("risk") == "low" and not spec.low_risk_too):
            return None
        if len(subject.text) > spec.max_chars:
            raise JudgeError(f"the text has more than {spec.max_chars} characters")
        text = await asyncio.to_thread(redacted, subject.text, subject.hop, self._hiding)
        shown = {"hop": subject.hop.value, "action": subject.facts.get("action"), "text": text}
        answer = read(await self._ask(spec, canonical_json(shown)))
        return Finding(
            guard_id=self.id,
            version=self.version,
            category=CATEGORY,
            score=answer.score,
            reason=f"judged {', '.join(answer.concerns) or 'without concern'}",
        )

    async def _ask(self, spec: JudgeSpec, shown: str) -> object:
        try:
            async with asyncio.timeout(spec.timeout_seconds):
                if self._client is None:
                    await asyncio.to_thread(self.prepare)
                # The raw message is read here: LangChain's own parse would accept NaN.
                asked = self._client.with_structured_output(schema(), method="json_schema", include_raw=True)
                message = (await asked.ainvoke([("system", PROMPT), ("human", shown)]))["raw"]
                return message.content
        except (TimeoutError, JudgeError):
            raise
        except Exception as error:
            # Providers raise errors of their own kinds. Only the kind is kept: a text may repeat the request or a key.
            raise JudgeError(f"the judge's endpoint failed: {type(error).__name__}") from None


def _connect(spec: JudgeSpec) -> Any:
    # Imported here: LangChain and a provider's client take seconds, which task types without a judge need not pay.
    from langchain.chat_models import init_chat_model

    settings: dict[str, Any] = {
        "temperature": 0.0,
        "max_tokens": spec.max_tokens,
        "timeout": spec.timeout_seconds,
        "max_retries": 0,
    }
    if spec.seed is not None:
        settings["seed"] = spec.seed
    if spec.base_url is not None:
        settings |= {"base_url": spec.base_url, "api_key": SecretStr("none")}
    if spec.api_key_env is not None:
        key = os.environ.get(spec.api_key_env)
        if not key:
            raise JudgeError(f"the environment variable {spec.api_key_env} is not set")
        settings["api_key"] = SecretStr(key)
    return init_chat_model(spec.model, model_provider=spec.provider, **settings)
