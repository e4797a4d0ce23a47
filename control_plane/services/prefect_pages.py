"""Where a task's runs are seen in Prefect's pages."""

from collections.abc import Sequence


async def pages(task_ids: Sequence[str]) -> dict[str, str]:
    """Task id -> address of its first flow run's page, for those that have one.

    Prefect is imported here, so PREFECT_API_URL must stand in the environment by now.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
    from prefect.client.schemas.sorting import FlowRunSort
    from prefect.utilities.urls import url_for

    found: dict[str, str] = {}
    async with get_client() as client:
        for task_id in task_ids:
            runs = await client.read_flow_runs(
                flow_run_filter=FlowRunFilter(name=FlowRunFilterName(like_=task_id)),
                sort=FlowRunSort.START_TIME_ASC,
                limit=1,
            )
            url = url_for("flow-run", runs[0].id) if runs else None
            if url is not None:
                found[task_id] = url
    return found
