"""What the local stack should be, given the settings and what is recorded of it."""

from urllib.parse import urlsplit, urlunsplit

from deployments.postgres import Cluster, plan_cluster
from deployments.prefect_server import plan_url
from deployments.state import StackState
from domain.settings import Settings


def plan_stack(settings: Settings, recorded: StackState | None) -> StackState:
    """The stack to bring up: what the settings name, else our own. What is recorded stays wherever it still fits.

    A URL that equals our own (a process within the stack has it in its environment) counts as our own.
    """
    cluster = recorded.postgres if recorded else None
    given = plain_dsn(settings.database_url) if settings.database_url else None
    if given is not None and (cluster is None or given != cluster.dsn()):
        dsn, prefect_dsn = given, with_database(given, f"{database_of(given)}_prefect")
    else:
        cluster = _usable(cluster, settings)
        dsn, prefect_dsn = cluster.dsn(), cluster.dsn("prefect")
    own_url = recorded.prefect_api_url if recorded and recorded.prefect_dsn else None
    foreign = settings.prefect_api_url is not None and settings.prefect_api_url != own_url
    return StackState(
        home=settings.home.resolve(),
        dsn=dsn,
        prefect_api_url=settings.prefect_api_url if foreign and settings.prefect_api_url else own_url or plan_url(),
        prefect_dsn=None if foreign else prefect_dsn,
        postgres=cluster,
        processes=recorded.processes if recorded else {},
        deployed=recorded.deployed if recorded else None,
    )


def plain_dsn(url: str) -> str:
    """The URL as postgresql://..., whatever driver or short form it names."""
    return f"postgresql://{url.split('://', 1)[1]}"


def database_of(dsn: str) -> str:
    """The database that the URL names, or by Postgres' own rule the user."""
    parts = urlsplit(dsn)
    return parts.path.lstrip("/") or parts.username or "postgres"


def with_database(dsn: str, database: str) -> str:
    """The same server and login, another database."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))


def same_prefect(one: StackState, other: StackState) -> bool:
    """Whether both keep Prefect's records in the same place, so that what was deployed there still is."""
    if one.prefect_dsn is None or other.prefect_dsn is None:
        return one.prefect_dsn == other.prefect_dsn and one.prefect_api_url == other.prefect_api_url
    return _place(one.prefect_dsn) == _place(other.prefect_dsn)


def _place(dsn: str) -> str:
    # The embedded Postgres may come back on another port; its password, made once, tells which one it is.
    parts = urlsplit(dsn)
    return f"{parts.password}@{parts.hostname}{parts.path}"


def _usable(cluster: Cluster | None, settings: Settings) -> Cluster:
    if cluster is None or not cluster.data.exists():
        return plan_cluster(settings.home.resolve(), settings.pg_bin)
    return cluster
