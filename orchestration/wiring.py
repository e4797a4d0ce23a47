"""Where the real parts are put together."""

import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from catalog.load import Catalog, load_catalog
from domain.action import Executor
from domain.errors import StackError
from domain.hosts import SETTING
from domain.settings import Settings
from memory.index import QdrantIndex, open_index
from memory.recall import IndexRecaller
from orchestration.memory_feed import MemoryFeed
from orchestration.run import Runtime
from storage.checkpoints import open_pool
from storage.engine import async_engine
from tasks.called import not_allowed
from tasks.executors import EXECUTORS, make_executors
from tasks.outbound import Outbound

log = logging.getLogger(__name__)


def require_strict_msgpack() -> None:
    """LangGraph reads this at import; without it a crafted checkpoint executes code. Raises StackError."""
    if os.environ.get("LANGGRAPH_STRICT_MSGPACK", "").lower() != "true":
        raise StackError("LANGGRAPH_STRICT_MSGPACK must be `true` in the environment before Parley is started")


def catalog_of(settings: Settings) -> Catalog:
    """The catalog that the settings name."""
    return load_catalog(settings.catalog, EXECUTORS)


def _warn(catalog: Catalog, settings: Settings) -> None:
    """Sooner than a task fails of it."""
    for one in not_allowed(catalog, settings.outbound_hosts, settings.notify_url):
        log.warning("%s, called by %s, is not named in %s: such calls will be refused", one.host, one.by, SETTING)


def _index(settings: Settings) -> QdrantIndex:
    """Qdrant's server where one is named, else the worker's folder, else one in memory, rebuilt from the rows."""
    if settings.qdrant_url:
        return open_index(settings.qdrant_url, None)
    folder: Path = settings.home / "qdrant"
    try:
        return open_index(None, folder)
    except StackError:
        # Another process of this stack has the folder; an index in memory gives the same answers.
        return open_index(None, None)


@asynccontextmanager
async def open_runtime(
    settings: Settings, executors: Callable[[AsyncEngine], Mapping[str, Executor]] | None = None
) -> AsyncIterator[Runtime]:
    """Everything a process needs to run tasks; without `executors`, the real ones. Raises StackError, CatalogError."""
    require_strict_msgpack()
    if settings.database_url is None:
        raise StackError("DATABASE_URL is not set: start the stack with `parley up` and use its commands")
    catalog = catalog_of(settings)
    if executors is None:
        _warn(catalog, settings)
    given: Any = {"size": settings.worker_concurrency + 4, "idle_seconds": settings.lease_seconds}
    engine = async_engine(settings.database_url, **given)
    pool = await open_pool(settings.database_url, **given)
    index = _index(settings)
    feed = MemoryFeed(engine, index, catalog)
    try:
        yield Runtime(
            dsn=settings.database_url,
            engine=engine,
            checkpoints=pool,
            catalog=catalog,
            recaller=feed.recaller(IndexRecaller(index)),
            feed=feed,
            cancel_grace_seconds=settings.cancel_grace_seconds,
            executors=executors or partial(make_executors, outbound=Outbound(settings.outbound_hosts)),
        )
    finally:
        await index.close()
        await pool.close()
        await engine.dispose()
