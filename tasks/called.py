"""Which hosts a catalog's task types call, and which of them are not allowed."""

from collections.abc import Iterator, Sequence

import httpx

from catalog.load import Catalog
from domain.hosts import AllowedHost, allowing, entry_for
from domain.model import Frozen
from domain.task_type import TaskType
from tasks.executors.webhook import Webhook, WebhookParameters

_PORTS = {"http": 80, "https": 443}


class Called(Frozen):
    """A host that is called, by whom."""

    host: str
    """As `PARLEY_OUTBOUND_HOSTS` names it."""
    by: str


def not_allowed(catalog: Catalog, hosts: Sequence[AllowedHost], notify_url: str | None) -> list[Called]:
    """What would be refused, each host once."""
    found: dict[str, list[str]] = {}
    for by, url in _urls(catalog, notify_url):
        parsed = httpx.URL(url)
        # As it is sent: an international name in ASCII.
        host, port = parsed.raw_host.decode("ascii"), parsed.port or _PORTS[parsed.scheme]
        if not allowing(hosts, host, port):
            found.setdefault(entry_for(host, port), []).append(by)
    return [Called(host=host, by=", ".join(dict.fromkeys(by))) for host, by in found.items()]


def _urls(catalog: Catalog, notify_url: str | None) -> Iterator[tuple[str, str]]:
    if notify_url is not None:
        yield "notices", notify_url
    for name in catalog.names():
        yield from _urls_of(catalog.task_type(name))


def _urls_of(kind: TaskType) -> Iterator[tuple[str, str]]:
    if kind.approvals.notify is not None:
        yield f"notices of {kind.name}", kind.approvals.notify
    for spec in kind.plan.subtasks:
        for named in spec.executors():
            if named.executor == Webhook.name:
                read = WebhookParameters.model_validate(named.parameters)
                yield from ((f"{kind.name}.{spec.id}", url) for url in (read.url, read.query_url) if url is not None)
