"""The decision is sent to a URL that honours an idempotency key."""

import json
from typing import Any

import httpx
from pydantic import Field, ValidationError
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.action import ActionRequest, ExecutorKind
from domain.errors import ExecutorError, ExecutorRejected
from domain.model import Frozen

MAX_RESPONSE_BYTES = 256 * 1024


class WebhookParameters(Frozen):
    """The task type's `executor_parameters`."""

    url: str = Field(pattern=r"^https?://")
    timeout_seconds: float = Field(default=10.0, gt=0, le=300)


class Webhook:
    """POSTs the action with an `Idempotency-Key` header. 4xx is a refusal, anything else but 2xx a failure."""

    name = "webhook"
    kind = ExecutorKind.DEDUP

    def __init__(self, engine: AsyncEngine) -> None:
        del engine  # every executor is made alike; this one keeps nothing in Postgres

    async def execute(self, request: ActionRequest) -> dict[str, Any]:
        """Send, and answer with {status, body}."""
        try:
            parameters = WebhookParameters.model_validate(request.parameters)
        except ValidationError as error:
            raise ExecutorRejected(f"webhook parameters: {error.errors()[0]['msg']}") from error
        body = {"task": request.task_id, "subtask": request.subtask_id, "action": request.action}
        headers = {"Idempotency-Key": request.idempotency_key}
        try:
            async with (
                httpx.AsyncClient(timeout=parameters.timeout_seconds, follow_redirects=False) as client,
                client.stream(
                    "POST", parameters.url, json={**body, "arguments": request.arguments}, headers=headers
                ) as response,
            ):
                content = await _read(response)
        except httpx.HTTPError as error:
            raise ExecutorError(f"webhook {parameters.url}: {type(error).__name__}: {error}") from error
        if 400 <= response.status_code < 500 and response.status_code not in (408, 429):
            raise ExecutorRejected(f"webhook {parameters.url} refused with {response.status_code}")
        if not response.is_success:
            raise ExecutorError(f"webhook {parameters.url} answered {response.status_code}")
        return {"status": str(response.status_code), "body": content}


async def _read(response: httpx.Response) -> Any:
    """The body as JSON, or None where it is not usable JSON; refuses one that is too large."""
    read = b""
    async for chunk in response.aiter_bytes():
        read += chunk
        if len(read) > MAX_RESPONSE_BYTES:
            raise ExecutorRejected(f"the webhook's answer is larger than {MAX_RESPONSE_BYTES} bytes")
    try:
        return json.loads(read, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
