"""The doctor names what is wrong and what mends it, and changes nothing."""

from pathlib import Path

import pytest

from deployments import doctor
from deployments.doctor import examine
from deployments.local import connect, status
from deployments.state import StackState, write_state
from domain.errors import StackError
from domain.hosts import AllowedHost
from domain.settings import Settings
from tests.integration.acting import write_steps


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("DATABASE_URL", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)
    return Settings.model_validate({"home": tmp_path / "state", "catalog": tmp_path})


def problems(settings: Settings) -> str:
    return "\n".join(ailment.problem for ailment in examine(settings))


def test_no_stack(settings: Settings) -> None:
    found = examine(settings)
    assert [ailment.mend for ailment in found] == ["run `parley up`"]
    assert not settings.home.exists()
    assert not status(settings).healthy
    with pytest.raises(StackError, match="run `parley up`"):
        connect(settings)


def test_a_dead_stack(settings: Settings) -> None:
    dead = "postgresql://u:secret@127.0.0.1:1/d"
    write_state(StackState(home=settings.home, dsn=dead, prefect_api_url="http://127.0.0.1:1/api"))
    found = problems(settings)
    for part in ("postgres: ", "prefect: ", "worker: not started", "prefect-worker: not started", "newer than"):
        assert part in found
    assert "secret" not in found
    with pytest.raises(StackError, match="cannot be used"):
        connect(settings)


def test_an_open_state_folder(settings: Settings) -> None:
    write_state(StackState(home=settings.home, dsn="postgresql://127.0.0.1:1/d", prefect_api_url="http://127.0.0.1:1"))
    settings.home.chmod(0o755)
    (settings.home / "state.json").chmod(0o644)
    mends = {ailment.mend for ailment in examine(settings)}
    assert {f"chmod 700 {settings.home}", f"chmod 600 {settings.home / 'state.json'}"} <= mends


def test_a_broken_state_file(settings: Settings) -> None:
    settings.home.mkdir(mode=0o700)
    (settings.home / "state.json").write_text("{")
    assert "state.json cannot be used" in problems(settings)


def test_other_settings(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    changed = {"prefect_api_url": "http://127.0.0.1:1/api", "pg_bin": tmp_path / "bin", "catalog": tmp_path / "none"}
    found = problems(settings.model_copy(update=changed))
    for part in ("PREFECT_API_URL is set", "the embedded Postgres cannot be run", "no catalog folder"):
        assert part in found


def test_hosts_that_are_called_and_not_allowed(settings: Settings, tmp_path: Path) -> None:
    catalog = write_steps(tmp_path / "made", {"pay": {"executor_parameters": {"url": "https://pay.example:8443/act"}}})
    calling = settings.model_copy(update={"catalog": catalog})
    ailments = {ailment.problem: ailment.mend for ailment in examine(calling)}
    problem = "pay.example:8443, called by claim.pay, is not named in PARLEY_OUTBOUND_HOSTS: such calls are refused"
    assert "add pay.example:8443 to PARLEY_OUTBOUND_HOSTS" in ailments[problem]
    allowed = calling.model_copy(update={"outbound_hosts": (AllowedHost.read("pay.example:8443"),)})
    assert "PARLEY_OUTBOUND_HOSTS" not in problems(allowed)


def test_no_room(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_ROOM_BYTES", 2**80)
    assert "MiB are free" in problems(settings)
