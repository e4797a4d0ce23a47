"""Remove the checkpoints of tasks that ended long ago: the same function as `parley prune`."""

from prefect import flow

from domain.errors import StackError
from domain.settings import Settings
from orchestration.retention import DEFAULT_AGE, age_of
from orchestration.retention import prune as prune_checkpoints
from storage.engine import async_engine


@flow(name="prune")
async def prune(older_than: str = DEFAULT_AGE) -> dict[str, int]:
    """Records and audit stay; returns how many tasks, rows and bytes were removed."""
    age = age_of(older_than)
    settings = Settings()
    if settings.database_url is None:
        raise StackError("DATABASE_URL is not set: run this where `parley up` has started a stack")
    engine = async_engine(settings.database_url, size=1)
    try:
        return (await prune_checkpoints(engine, age)).model_dump()
    finally:
        await engine.dispose()
