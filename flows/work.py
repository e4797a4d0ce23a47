"""A worker placed and supervised by Prefect."""

from prefect import flow

from domain.settings import Settings
from flows.worker_process import serve


@flow(name="work")
async def work(concurrency: int | None = None, seconds: float | None = None) -> None:
    """Claim and run tasks until stopped, or for so many seconds."""
    settings = Settings()
    if concurrency is not None:
        settings = settings.model_copy(update={"worker_concurrency": concurrency})
    await serve(settings, seconds)
