"""Start-up, help, exit codes."""

import json
import subprocess
import sys

import pytest

from control_plane.cli import (
    calibration,
    compare,
    control,
    demo,
    evaluation,
    inbox,
    inspection,
    outcomes,
    replay,
    retention,
    stack,
    submission,
    sweep,
    votes,
)
from control_plane.cli.main import main
from deployments import local
from domain.errors import InputError, LeaseLost, NotFound, ParleyError, StackError

GROUPS = (
    demo,
    stack,
    submission,
    inspection,
    inbox,
    control,
    sweep,
    outcomes,
    evaluation,
    compare,
    calibration,
    votes,
    replay,
    retention,
)
NAMES = [command.__name__ for group in GROUPS for command in group.COMMANDS]
HEAVY = (
    "prefect",
    "evidently",
    "great_expectations",
    "pandas",
    "numpy",
    "sqlalchemy",
    "langgraph",
    "qdrant_client",
    "psycopg",
)


def test_help_starts_without_anything_heavy() -> None:
    program = (
        "import sys\n"
        "from control_plane.cli.main import main\n"
        "code = main(['--help'])\n"
        f"found = sorted(set({HEAVY!r}) & set(sys.modules))\n"
        "sys.exit(f'imported: {found}' if found else code)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "parley demo" in done.stdout


def test_every_command_of_the_contract_is_there() -> None:
    wanted = "demo up down status doctor worker submit run tasks show explain events approvals approve refuse outcome"
    assert set(NAMES) >= {*wanted.split(), "evaluate", "compare"}


@pytest.mark.parametrize("name", NAMES)
def test_help_teaches_with_an_example_and_names_json(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "Example" in shown
    assert f"parley {name}" in shown or name == "worker"
    assert "--json" in shown


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (InputError("a: b: do c"), 2),
        (NotFound("no such task"), 2),
        (StackError("no stack: run `parley up`"), 1),
        (LeaseLost(), 1),
    ],
)
def test_errors_become_exit_codes(
    problem: ParleyError, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: object) -> None:
        raise problem

    monkeypatch.setattr(local, "status", broken)
    assert main(["status", "--json"]) == code
    shown = capsys.readouterr()
    assert shown.err == f"error: {problem}\n"
    assert json.loads(shown.out) == {
        "error": {"kind": type(problem).__name__, "message": str(problem), "exit_code": code}
    }
    assert main(["status"]) == code
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("arguments", [["frob"], ["show"], ["tasks", "--limit", "0"], ["tasks", "--nothing"]])
def test_wrong_usage_is_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("error: ")
    assert shown.out == ""


def test_an_interrupt_is_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(local, "status", interrupted)
    assert main(["status"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_broken_setting_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PARLEY_WORKER_CONCURRENCY", "many")
    assert main(["status"]) == 2
    assert "PARLEY_WORKER_CONCURRENCY" in capsys.readouterr().err.upper()


def test_a_wrong_option_names_its_own_commands_help(capsys):
    assert main(["submit", "credit_review", "--cases", "x.csv"]) == 2
    assert "See `parley submit --help`" in capsys.readouterr().err
