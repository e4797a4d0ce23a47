"""The Prefect server: a child process on our Postgres, or the one that PREFECT_API_URL names."""

import base64
import os
import sys
import time
from collections.abc import Mapping

import httpx

from deployments.postgres import free_port
from deployments.processes import Child, alive, start
from deployments.state import Progress, StackState, environment
from domain.errors import StackError
from domain.settings import ROOT

WORK_POOL = "parley"
_SIGN_OF_LIFE = 3.0
_PATIENCE = 120.0


def plan_url() -> str:
    """The API URL of a server still to be started."""
    return f"http://127.0.0.1:{free_port()}/api"


def start_server(state: StackState, base: Mapping[str, str]) -> Child:
    """Start a server on the stack's Prefect database, at the stack's URL. It is healthy some seconds later."""
    if state.prefect_dsn is None:
        raise StackError(f"PREFECT_API_URL names {state.prefect_api_url}: it is not ours to start")
    url = httpx.URL(state.prefect_api_url)
    env = {
        **base,
        **environment(state),
        "PREFECT_API_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://{state.prefect_dsn.split('://', 1)[1]}",
        "PREFECT_SERVER_API_HOST": url.host,
        "PREFECT_SERVER_API_PORT": str(url.port),
    }
    command = [sys.executable, "-m", "prefect", "server", "start"]
    return start("prefect", command, env, ROOT, state.logs)


def healthy(api_url: str, timeout: float = 2.0) -> bool:
    """Whether a Prefect server answers there."""
    try:
        answer = httpx.get(f"{api_url.rstrip('/')}/health", headers=_headers(), timeout=timeout)
    except (httpx.HTTPError, httpx.InvalidURL):
        return False
    return answer.status_code == httpx.codes.OK and answer.text.strip() == "true"


def wait_healthy(api_url: str, server: Child | None, progress: Progress, patience: float = _PATIENCE) -> None:
    """Wait until it answers. Raises StackError when the child ends first or the time is over."""
    begin = told = time.monotonic()
    while not healthy(api_url):
        now = time.monotonic()
        if server is not None and not alive(server):
            raise StackError(f"the Prefect server ended while starting: see {server.log}")
        if now - begin > patience:
            where = f"see {server.log}" if server else "check PREFECT_API_URL"
            raise StackError(f"no Prefect server answers at {api_url} after {patience:.0f} s: {where}")
        if now - told >= _SIGN_OF_LIFE:
            progress(f"waiting for the Prefect server ({now - begin:.0f} s)")
            told = now
        time.sleep(0.2)


def ensure_work_pool(api_url: str) -> None:
    """Make the work pool (of type process) if there is none."""
    pool = {"name": WORK_POOL, "type": "process"}
    answer = httpx.post(f"{api_url.rstrip('/')}/work_pools/", json=pool, headers=_headers(), timeout=30)
    if answer.status_code not in (httpx.codes.CREATED, httpx.codes.CONFLICT):
        raise StackError(f"Prefect refused the work pool {WORK_POOL}: {answer.status_code} {answer.text[:500]}")


def _headers() -> dict[str, str]:
    """What a Prefect server of your own may ask for; Prefect's own clients read the same variables."""
    if key := os.environ.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    if login := os.environ.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
    return {}
