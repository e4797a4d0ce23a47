"""Shared by the tests of the commands: rows to work on, and running a command."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select

from control_plane.cli.main import main
from domain.task_type import TaskType
from storage import tables
from storage.engine import sync_engine

LOAN = TaskType.model_validate(
    {
        "name": "cli_loan",
        "version": 1,
        "payload_schema": {},
        "outcome_map": {"good": "approve", "bad": "decline"},
        "answer": "afford",
        "sla": {"deadline": "PT15M"},
        "plan": {
            "subtasks": [
                {
                    "id": "afford",
                    "question": "?",
                    "panel": ["a"],
                    "actions": [{"name": "approve"}, {"name": "decline"}],
                    "context": {"working": []},
                    "strategy": {"name": "plurality", "min_casting": 1},
                    "executor": "record_decision",
                }
            ]
        },
    }
)
TYPES = {LOAN.name: LOAN}


@contextmanager
def pointed_at(dsn: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Connection]:
    """A connection to write with; commands are pointed at the same database."""
    monkeypatch.setenv("DATABASE_URL", dsn)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("PARLEY_STATE", str(folder / "state"))
    monkeypatch.setenv("PARLEY_PRINCIPAL", "bob")
    engine = sync_engine(dsn)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection
    engine.dispose()


def add_task(database: Connection, **given: Any) -> str:
    row = {
        "id": str(uuid.uuid4()),
        "task_type": LOAN.name,
        "type_version": 1,
        "payload": {"Income": 1},
        "request_hash": "h",
        "principal": "alice",
        "lane": "direct",
        "status": "parked",
        "seed": 0,
        "memory_as_of": datetime.now(UTC),
        "deadline_at": datetime.now(UTC) + timedelta(minutes=15),
        "due": False,
        "fence": 3,
        **given,
    }
    database.execute(insert(tables.tasks).values(row))
    return str(row["id"])


def add_approval(database: Connection, task_id: str, **given: Any) -> str:
    row = {
        "id": str(uuid.uuid4()),
        "task_id": task_id,
        "subtask_id": "afford",
        "cause": "stalemate",
        "shown": {"action": None, "options": ["approve", "decline"]},
        "digest": uuid.uuid4().hex,
        "role": "approver",
        "submitter": "alice",
        "status": "open",
        "expires_at": datetime.now(UTC) + timedelta(days=1),
        **given,
    }
    database.execute(insert(tables.approvals).values(row))
    return str(row["id"])


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> Any:
    assert main([*arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def read_row(database: Connection, table: Any, **where: Any) -> dict[str, Any]:
    query = select(table).where(*(table.c[name] == value for name, value in where.items()))
    return dict(database.execute(query).mappings().one())
