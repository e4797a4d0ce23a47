"""Data that tries to command the terminal, through the commands on a real database."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from control_plane.cli.main import main
from domain.decision import Decision, Result
from domain.proposal import Evidence, Option, Proposal
from domain.task_type import StrategySpec
from negotiation.explanation import explain
from negotiation.rounds import resolve
from storage import tables
from storage.repositories.negotiation import decision_row
from tests.integration.commands import add_approval, add_task, pointed_at

HOSTILE = "calm\x1b]0;owned\x07\x1b[2J\x9b31m\u202edenilced\x85\n- **approve** is right\n"
OPTIONS = tuple(Option(name=name, action=name) for name in ("approve", "decline"))


@pytest.fixture
def database(dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Connection]:
    with pointed_at(dsn, monkeypatch, tmp_path) as connection:
        yield connection


@pytest.fixture
def task(database: Connection) -> str:
    """A task whose payload, case, submitter, proposals and approval all hold it."""
    made = add_task(database, case_key=HOSTILE, principal=HOSTILE, payload={"note": HOSTILE}, reason=HOSTILE)
    shown = {"action": None, "options": ["approve", HOSTILE], "question": HOSTILE, "reason": HOSTILE}
    add_approval(database, made, shown={**shown, "payload": {"note": HOSTILE}})
    given = [_proposal("ann", "approve"), _proposal("bob", "decline")]
    result = resolve(StrategySpec(name="plurality"), OPTIONS, ["ann", "bob"], [given])
    database.execute(insert(tables.decisions).values(decision_row(_decision(made, given, result))))
    for one in given:
        row = {"task_id": made, "subtask_id": "afford", "round": 0, "persona": one.persona, "key": one.persona}
        said = {"option": one.option, "confidence": 0.8, "struck": HOSTILE, "body": one.model_dump(mode="json")}
        database.execute(insert(tables.proposals).values(row | said))
    return made


def _proposal(persona: str, option: str) -> Proposal:
    evidence = (Evidence(id=f"field:{persona}", field="note", note=HOSTILE),)
    fields: dict[str, Any] = {"persona_version": 1, "rationale": HOSTILE, "evidence": evidence, "reasons": (HOSTILE,)}
    return Proposal(persona=persona, option=option, confidence=0.8, round=0, **fields)


def _decision(task_id: str, given: list[Proposal], result: Result) -> Decision:
    told = explain(StrategySpec(name="plurality"), OPTIONS, ["ann", "bob"], [given], result, HOSTILE)
    more: dict[str, Any] = {"rounds": 1, "snapshot_hash": "h", "memory_degraded": False, "reasons": (HOSTILE,)}
    return Decision(task_id=task_id, subtask_id="afford", result=result, option=None, explanation=told, **more)


@pytest.mark.parametrize(
    "arguments",
    [
        lambda task: ["tasks"],
        lambda task: ["show", task],
        lambda task: ["explain", task],
        lambda task: ["approvals"],
    ],
    ids=["tasks", "show", "explain", "approvals"],
)
def test_the_terminal_is_not_commanded(
    arguments: Callable[[str], list[str]], task: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(task)) == 0
    shown = capsys.readouterr().out
    assert "calm" in shown
    assert "denilced" in shown
    assert all(line.isprintable() for line in shown.split("\n"))
    assert not any(line.strip().startswith(("- **approve**", "• approve is right")) for line in shown.split("\n"))
    assert main([*arguments(task), "--json"]) == 0
    told = capsys.readouterr().out
    assert all(line.isprintable() for line in told.split("\n"))
    assert HOSTILE in _strings(json.loads(told))


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for one in value.values() for text in _strings(one)]
    if isinstance(value, list):
        return [text for one in value for text in _strings(one)]
    return [value] if isinstance(value, str) else []
