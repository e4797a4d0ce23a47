"""Runs outside a worker: take the lease, move on, give it back."""

import os
import socket
import uuid

from domain.settings import Settings
from orchestration.direct import DIRECT
from orchestration.heartbeat import Heartbeat
from orchestration.run import make_context
from orchestration.stages import StageResult
from orchestration.wiring import open_runtime
from storage.leases import claim_one, release


def owner_name() -> str:
    """Who holds a lease: host, process, and a random part that a reused process id does not share."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


async def hold_one_round(settings: Settings, task_id: str, subtask_id: str, round: int) -> StageResult | None:
    """Hold one round of a task that nobody works on; None where its lease cannot be had."""
    async with open_runtime(settings) as runtime:
        owner = owner_name()
        limits = runtime.catalog.limits()
        claim = await claim_one(runtime.engine, owner, task_id, seconds=settings.lease_seconds, limits=limits)
        if claim is None:
            return None
        heartbeat = Heartbeat(runtime.dsn, owner, settings)
        heartbeat.start()
        try:
            context = await make_context(runtime, claim.lease)
            return await DIRECT.negotiate(context, subtask_id, round)
        finally:
            heartbeat.stop()
            await release(runtime.engine, claim.lease)
