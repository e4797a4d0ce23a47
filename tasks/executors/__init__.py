"""The ways to act. A new file needs a line in EXECUTORS."""

from collections.abc import Mapping
from types import MappingProxyType

from sqlalchemy.ext.asyncio import AsyncEngine

from domain.action import Executor
from tasks.executors.record_decision import RecordDecision
from tasks.executors.webhook import Webhook
from tasks.outbound import Outbound

EXECUTORS: Mapping[str, type[RecordDecision] | type[Webhook]] = MappingProxyType(
    {
        RecordDecision.name: RecordDecision,
        Webhook.name: Webhook,
    }
)


def make_executors(engine: AsyncEngine, outbound: Outbound) -> dict[str, Executor]:
    """One of each, on this engine, calling by this way."""
    return {name: make(engine, outbound) for name, make in EXECUTORS.items()}
