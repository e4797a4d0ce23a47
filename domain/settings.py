"""Settings, read at the edges and passed as values."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from domain.hosts import AllowedHost, read_hosts

ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """What the environment says. Every name is PARLEY_<FIELD> unless an alias is given."""

    model_config = SettingsConfigDict(env_prefix="PARLEY_", frozen=True, extra="ignore", populate_by_name=True)

    home: Path = Field(default_factory=lambda: Path.cwd() / ".parley", alias="PARLEY_STATE")
    """Folder of the local stack's state (0700)."""
    catalog: Path = ROOT / "pilots"
    """Folder of pilots."""
    database_url: str | None = Field(default=None, alias="DATABASE_URL")
    """postgresql://... of a database of your own; else the embedded one."""
    prefect_api_url: str | None = Field(default=None, alias="PREFECT_API_URL")
    qdrant_url: str | None = Field(default=None, alias="QDRANT_URL")
    pg_bin: Path | None = None
    """Folder with initdb, pg_ctl and postgres."""
    principal: str = Field(default_factory=lambda: _login())
    """Who acts, where no --as is given."""
    worker_concurrency: int = Field(default=8, ge=1, le=64)
    lease_seconds: int = Field(default=30, ge=3)
    recover_seconds: float = Field(default=5.0, gt=0)
    cancel_grace_seconds: float = Field(default=10.0, ge=0)
    """How long a call in flight is awaited once its task was cancelled."""
    notify_url: str | None = Field(default=None, pattern=r"^https?://[^\s]+$")
    """http(s) URL that is told of requests to people, in a form that Slack takes. It may be a secret."""
    outbound_hosts: Annotated[tuple[AllowedHost, ...], NoDecode, BeforeValidator(read_hosts)] = ()
    """Which hosts the webhook executor and notices may call, as a comma list; without one, none."""
    anchor_seconds: float = Field(default=60.0, ge=0)
    """How often a worker anchors the audit chains in the state folder, where they changed; 0: never."""


def _login() -> str:
    import getpass

    return getpass.getuser()
