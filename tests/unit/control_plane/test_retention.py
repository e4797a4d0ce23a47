"""What `parley erase` says, and the exit code by which a script knows that something stays."""

from types import SimpleNamespace
from typing import Any

import pytest

from control_plane.cli import retention
from control_plane.cli.main import main
from control_plane.services import erasure


@pytest.mark.parametrize(
    ("options", "held", "code"),
    [([], {}, 0), (["--now"], {"t2": 3, "t3": 1}, 1), (["--dry-run"], {"t2": 3, "t3": 1}, 0)],
)
def test_the_exit_code_says_whether_something_stays(
    options: list[str],
    held: dict[str, int],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[erasure.Wanted] = []

    async def erases(engine: Any, catalog: Any, settings: Any, wanted: erasure.Wanted) -> erasure.Erased:
        asked.append(wanted)
        found = {"id": "t1", "task_type": "claim", "status": "done"}
        return erasure.Erased(tasks=(found,), places={"events.data": 2}, held=held, dry_run=wanted.dry_run)

    def runs(work: Any) -> Any:
        try:
            work(None).send(None)
        except StopIteration as ended:
            return ended.value
        raise AssertionError("it waits for something")

    monkeypatch.setattr(erasure, "erase_subject", erases)
    monkeypatch.setattr(retention, "enter_stack", lambda *, quiet: SimpleNamespace(prefect_dsn=None))
    monkeypatch.setattr(retention, "with_engine", runs)
    monkeypatch.setattr(retention, "catalog", lambda _: None)
    assert main(["erase", "c-4711", "--text", "Ann Example", "--text", "ann@example.org", *options]) == code
    said = capsys.readouterr().out
    assert ("4 places of 2 tasks that have not ended quote the person: t2, t3" in said) is bool(held)
    assert ("nothing was erased" in said) is ("--dry-run" in options)
    assert [(one.texts, one.now) for one in asked] == [(("Ann Example", "ann@example.org"), "--now" in options)]
