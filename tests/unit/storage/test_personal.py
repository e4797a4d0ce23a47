"""Every column and event is decided about: whether a person's data may stand there, and what of it is nobody's."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.dialects.postgresql import JSONB

from domain.audit import STATED
from storage.event_data import KEPT
from storage.personal import NOBODYS, PLACES
from storage.schema import metadata

ROOT = Path(__file__).parents[3]
WRITING = ("domain", "storage", "tasks", "orchestration", "control_plane", "flows")
FAMILIES = {
    "negotiate.": {"again", "decided", "escalated", "failed"},
    "guard.": {"allow", "redact", "downgrade", "require_approval", "deny", "halt"},
    "approve.": {"approved", "refused", "expired"},
    "control.": {"cancel", "pause", "resume"},
}
"""Events whose name is put together: its beginning -> what may follow."""
OTHERS = re.compile(
    r"\.(id|key|jsonl|json|html|md|log|csv|yaml|npz|yar|cedar|swept|pid|new|submitter|on_expiry|principal|erasure)$"
    r"|^(d|tasks|limits|role|plan|policies|strategy|prefect\.resource|guards)\."
)
"""Texts of the same form that are files, columns, modules, or events of the chain of roles."""


def test_every_column_is_decided_about() -> None:
    places = {(place.table.name, place.column) for place in PLACES}
    nobodys = {(table, column) for table, columns in NOBODYS.items() for column in columns}
    texts = {
        (table.name, column.name)
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, JSONB) or column.type.__class__.__name__ == "Text"
    }
    assert places & nobodys == set()
    assert places | nobodys == texts
    assert all(reason for columns in NOBODYS.values() for reason in columns.values())


def test_what_can_be_erased_is_hashed_apart_in_the_chain() -> None:
    """A plain column is compared as it stands, so nothing that an erasure blanks may be one."""
    places = {(place.table.name, place.column) for place in PLACES}
    assert [(how.table, name) for how in STATED.values() for name in how.plain if (how.table, name) in places] == []


def test_every_event_is_decided_about() -> None:
    written, begun = set(), set()
    for kind, text in _texts():
        (begun if kind == "begins" else written).add(text)
    assert begun <= {*FAMILIES, "role.", "governance."}
    assert {f"{family}{name}" for family, names in FAMILIES.items() for name in names} <= KEPT.keys()
    named = {text for text in written if re.fullmatch(r"[a-z]+\.[a-z_]+", text)}
    events = {text for text in named if text in KEPT or not OTHERS.search(text)}
    assert events - KEPT.keys() == set()
    families = {f"{family}{name}" for family, names in FAMILIES.items() for name in names}
    assert KEPT.keys() - events - families == set(), "nothing writes these any more"


def _texts() -> Iterator[tuple[str, str]]:
    """Every text in the code that writes, and every beginning of one that is put together."""
    for folder in WRITING:
        for path in (ROOT / folder).rglob("*.py"):
            if path.name == "event_data.py":
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.JoinedStr) and node.values and isinstance(node.values[0], ast.Constant):
                    first = str(node.values[0].value)
                    if re.fullmatch(r"[a-z]+\.", first) and len(node.values) == 2:
                        yield "begins", first
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield "whole", node.value
