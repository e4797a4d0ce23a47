"""Pick up what was left behind: the same function as the worker's loop."""

from prefect import flow

from domain.errors import StackError
from domain.settings import Settings
from flows.disagreement import agree
from orchestration.recovery import recover as recover_tasks
from storage.engine import async_engine


@flow(name="recover")
async def recover() -> int:
    """Wake what is overdue and settle Prefect's runs by their rows; returns how many tasks need a worker."""
    settings = Settings()
    if settings.database_url is None:
        raise StackError("DATABASE_URL is not set: run this where `parley up` has started a stack")
    engine = async_engine(settings.database_url, size=1)
    try:
        agreed = await agree(engine)
        return await recover_tasks(engine) + agreed.given_back
    finally:
        await engine.dispose()
