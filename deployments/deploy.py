"""Deploy the flows of prefect.yaml to the stack's Prefect server."""

import hashlib
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from deployments.state import Progress, StackState, environment
from domain.errors import StackError

_PATIENCE = 180.0
_SIGN_OF_LIFE = 3.0
_TAIL = 2000


def fingerprint(root: Path) -> str:
    """Hash of prefect.yaml and of the flows, whose signatures become the deployments' parameter schemas."""
    digest = hashlib.sha256()
    for path in (root / "prefect.yaml", *sorted((root / "flows").glob("*.py"))):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def deploy_all(state: StackState, base: Mapping[str, str], root: Path, progress: Progress) -> None:
    """Run `prefect deploy --all`. Raises StackError with the end of what it said."""
    log = state.logs / "deploy.log"
    state.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**base, **environment(state)},
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait(process, progress)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if process.returncode != 0:
        end = log.read_text(errors="replace")[-_TAIL:]
        raise StackError(f"the flows cannot be deployed (see {log}): {end}")


def _wait(process: "subprocess.Popen[bytes]", progress: Progress) -> None:
    begin = time.monotonic()
    while True:
        try:
            process.wait(_SIGN_OF_LIFE)
            return
        except subprocess.TimeoutExpired:
            waited = time.monotonic() - begin
        if waited > _PATIENCE:
            raise StackError(f"deploying the flows took more than {_PATIENCE:.0f} s")
        progress(f"still deploying the flows ({waited:.0f} s)")
