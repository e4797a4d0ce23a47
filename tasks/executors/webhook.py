"""The decision is sent to a URL; the parameters say what its receiver can do about repeats."""

from collections.abc import Mapping
from typing import Any, ClassVar

import httpx
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.action import Ability, ActionRequest, ExecutorKind
from domain.errors import ExecutorError, ExecutorRejected, SendInDoubt, TargetRefused
from domain.model import Frozen
from domain.strict_json import JsonRefused, parse_async
from tasks.outbound import Outbound

MAX_RESPONSE_BYTES = 256 * 1024
# No byte of the request has left when one of these is raised.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.ProxyError)
_TOO_MANY = 429
_TIMED_OUT = 408


class WebhookParameters(Frozen):
    """The task type's `executor_parameters`."""

    url: str = Field(pattern=r"^https?://")
    timeout_seconds: float = Field(default=10.0, gt=0, le=300)
    kind: ExecutorKind = ExecutorKind.DEDUP
    """What the receiver can do: honour the `Idempotency-Key`, refuse an old `Fence`, be asked, or none of these."""
    query_url: str | None = Field(default=None, pattern=r"^https?://")
    """Asked with GET and `?key=`: 200 where it happened, 404 where it did not."""
    nothing_done: frozenset[int] = frozenset()
    """Answers of 5xx, and 408, by which the receiver promises that it did nothing, such as 503: any other leaves the
    send in doubt.
    """
    max_send_seconds: float = Field(default=60.0, gt=0, le=3600)
    """A `query` receiver acts on a request no later than this after it was sent."""

    @field_validator("url", "query_url")
    @classmethod
    def _check_url(cls, url: str | None) -> str | None:
        try:
            if url is not None and not httpx.URL(url).host:
                raise ValueError("a URL with a host is expected")
        except httpx.InvalidURL as error:
            raise ValueError(f"a URL is expected: {error}") from error
        return url

    @field_validator("nothing_done")
    @classmethod
    def _check_codes(cls, codes: frozenset[int]) -> frozenset[int]:
        if wrong := sorted(code for code in codes if not (500 <= code < 600 or code == _TIMED_OUT)):
            raise ValueError(f"codes of 5xx and 408 are expected, not {wrong[0]}")
        return codes

    @model_validator(mode="after")
    def _check_query(self) -> "WebhookParameters":
        if (self.kind is ExecutorKind.QUERY) != (self.query_url is not None):
            raise ValueError("query_url goes with kind query, and is needed there")
        if self.kind is ExecutorKind.QUERY and self.max_send_seconds < self.timeout_seconds:
            raise ValueError("max_send_seconds is at least timeout_seconds")
        return self


class Webhook:
    """POSTs the action with its key and fence. 4xx is a refusal, anything else but 2xx a failure.

    A host that is not allowed raises OutboundRefused, and nothing is sent.
    """

    name = "webhook"
    parameters: ClassVar[type[BaseModel]] = WebhookParameters

    def __init__(self, engine: AsyncEngine, outbound: Outbound) -> None:
        del engine  # every executor is made alike; this one keeps nothing in Postgres
        self._outbound = outbound

    def ability(self, parameters: Mapping[str, Any]) -> Ability:
        """As the parameters declare it. Raises ExecutorRejected."""
        read = _parameters(parameters)
        host = httpx.URL(read.url).netloc.decode("ascii")
        wait = read.max_send_seconds if read.kind is ExecutorKind.QUERY else 0.0
        return Ability(
            kind=read.kind, target=f"webhook {host}", max_send_seconds=wait, call_seconds=read.timeout_seconds
        )

    async def execute(self, request: ActionRequest) -> dict[str, Any]:
        """Send, and answer with {status, body}."""
        parameters = _parameters(request.parameters)
        body = {"task": request.task_id, "subtask": request.subtask_id, "action": request.action}
        headers = {"Idempotency-Key": request.idempotency_key, "Fence": str(request.fence)}
        try:
            code, content = await self._exchange(
                parameters, "POST", parameters.url, json={**body, "arguments": request.arguments}, headers=headers
            )
        except _NOT_SENT as error:
            raise ExecutorError(f"webhook {parameters.url}: {type(error).__name__}: {error}") from error
        except httpx.HTTPError as error:
            raise SendInDoubt(f"webhook {parameters.url}: {type(error).__name__}: {error}") from error
        _check(code, parameters)
        return {"status": str(code), "body": content}

    async def find(self, request: ActionRequest) -> dict[str, Any] | None:
        """Ask for the key. Raises ExecutorError where the answer tells neither."""
        parameters = _parameters(request.parameters)
        if parameters.query_url is None:
            raise ExecutorError(f"webhook {parameters.url} cannot be asked")
        url = httpx.URL(parameters.query_url).copy_merge_params({"key": request.idempotency_key})
        try:
            code, content = await self._exchange(parameters, "GET", url)
        except httpx.HTTPError as error:
            raise ExecutorError(f"webhook {parameters.query_url}: {type(error).__name__}: {error}") from error
        if code == 404:
            return None
        if code != 200:
            raise ExecutorError(f"webhook {parameters.query_url} answered {code}")
        return {"status": str(code), "body": content, "asked": True}

    async def _exchange(
        self, parameters: WebhookParameters, method: str, url: str | httpx.URL, **options: Any
    ) -> tuple[int, Any]:
        """The answer's code, and its body as JSON."""
        async with (
            self._outbound.client(parameters.timeout_seconds) as client,
            client.stream(method, url, **options) as response,
        ):
            return response.status_code, await _read(response)


def _check(code: int, parameters: WebhookParameters) -> None:
    """Raises TargetRefused, SendInDoubt, or ExecutorError where nothing was done for now."""
    said = f"webhook {parameters.url} answered {code}"
    if code == _TOO_MANY or code in parameters.nothing_done:
        raise ExecutorError(said)
    if 400 <= code < 500 and code != _TIMED_OUT:
        raise TargetRefused(said.replace("answered", "refused with"))
    if not 200 <= code < 300:
        # It, or what stands before it, may have failed behind the effect.
        raise SendInDoubt(said)


def _parameters(given: Mapping[str, Any]) -> WebhookParameters:
    try:
        return WebhookParameters.model_validate(given)
    except ValidationError as error:
        raise ExecutorRejected(f"webhook parameters: {error.errors()[0]['msg']}") from error


async def _read(response: httpx.Response) -> Any:
    """The body as JSON, or None where it is too large or no usable JSON: what was done is done all the same."""
    try:
        return await parse_async(response.aiter_bytes(), limit=MAX_RESPONSE_BYTES)
    except JsonRefused:
        return None
