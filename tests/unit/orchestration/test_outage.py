"""What a server that is away does to a run says nothing about its task."""

import httpx
import psycopg
import pytest
from prefect.exceptions import PrefectHTTPStatusError

from orchestration.recovery import is_outage


def answered(code: int) -> PrefectHTTPStatusError:
    request = httpx.Request("POST", "http://127.0.0.1:4200/api/flow_runs/")
    response = httpx.Response(code, request=request, json={"exception_message": "Internal Server Error"})
    return PrefectHTTPStatusError.from_httpx_error(httpx.HTTPStatusError("no", request=request, response=response))


@pytest.mark.parametrize("error", [answered(500), answered(503), httpx.ConnectError("no"), psycopg.OperationalError()])
def test_an_outage_is_known(error: Exception) -> None:
    assert is_outage(error)
    wrapped = RuntimeError("of the flow")
    wrapped.__cause__ = error
    assert is_outage(wrapped)


@pytest.mark.parametrize("error", [answered(404), answered(422), KeyError("field"), None])
def test_anything_else_counts_against_the_task(error: Exception | None) -> None:
    assert not is_outage(error)
