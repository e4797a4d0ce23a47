"""Whatever the data holds, what is printed moves no cursor, names no window and turns no text around."""

import json

import pytest

from control_plane.cli import main as entry
from control_plane.cli.output import emit_json, note, say, table

HOSTILE = "a\x1b]0;owned\x07b\x1b[2Jc\x9b31md\u202ee\x85f"
SHOWN = "a�]0;owned�b�[2Jc�31md�e"


def _harmless(text: str) -> bool:
    return all(line.isprintable() for line in text.split("\n"))


def test_lines(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"one {HOSTILE}\n[bold]two[/bold]")
    note(f"three {HOSTILE}\nfour")
    told = capsys.readouterr()
    assert told.out == f"one {SHOWN}�f\n[bold]two[/bold]\n"
    assert told.err == f"three {SHOWN} f four\n"


def test_tables(capsys: pytest.CaptureFixture[str]) -> None:
    table(("id", f"head {HOSTILE}"), ((HOSTILE, {"[red]x[/red]": [HOSTILE]}), ("1\n2  done", None)), title=HOSTILE)
    told = capsys.readouterr().out
    assert _harmless(told)
    assert told.count(SHOWN) == 3, "title, head and cell; a list inside a cell is JSON"
    assert "[red]x[/red]" in told
    assert len(told.strip().split("\n")) == 4, "title, head and a line for each row"


def test_json_is_the_same_value_and_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    emit_json({"said": HOSTILE, "name": "Zoë"})
    told = capsys.readouterr().out
    assert _harmless(told)
    assert json.loads(told) == {"said": HOSTILE, "name": "Zoë"}
    assert "Zoë" in told


def test_errors(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.main(["votes", f"none{HOSTILE}.csv"]) == 2
    told = capsys.readouterr().err
    assert _harmless(told)
    assert SHOWN in told
