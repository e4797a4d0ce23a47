"""What can be extended lives one file a thing, and a file that its table does not list is a mistake."""

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from domain.settings import ROOT
from guardrails.filters import FILTERS
from negotiation.strategies import STRATEGIES
from personas.reasoners import REASONERS
from planning.planners import PLANNERS
from tasks.executors import EXECUTORS
from tests.faults.matrix import MATRIX

TABLES: Mapping[str, Mapping[str, Any]] = {
    "negotiation/strategies": STRATEGIES,
    "planning/planners": PLANNERS,
    "guardrails/filters": FILTERS,
    "personas/reasoners": REASONERS,
    "tasks/executors": EXECUTORS,
}
# A reasoner's own parts, each beside it.
HELPERS = {"personas/reasoners": {"failure", "llm_answer", "scorecard_parameters"}}


def unlisted(folder: Path, listed: set[str]) -> set[str]:
    """Files of the folder that are not listed."""
    return {path.stem for path in folder.glob("*.py")} - {"__init__"} - listed


@pytest.mark.parametrize("folder", TABLES)
def test_the_table_lists_exactly_the_files(folder: str) -> None:
    table, helpers = set(TABLES[folder]), HELPERS.get(folder, set())
    assert unlisted(ROOT / folder, table | helpers) == set()
    assert all((ROOT / folder / f"{name}.py").is_file() for name in table | helpers)


def test_a_new_file_would_be_seen(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").touch()
    (tmp_path / "plurality.py").touch()
    (tmp_path / "borda.py").touch()
    assert unlisted(tmp_path, {"plurality"}) == {"borda"}


@pytest.mark.parametrize(("folder", "name"), [(folder, name) for folder, names in HELPERS.items() for name in names])
def test_a_helper_is_imported_by_what_it_helps(folder: str, name: str) -> None:
    imported = {
        node.module
        for path in (ROOT / folder).glob("*.py")
        if path.stem != name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
    }
    assert f"{folder.replace('/', '.')}.{name}" in imported


# `parley sweep` is a line by itself.
BESIDE_THE_MATRIX = {"tests/faults/test_sweep.py"}


def test_every_fault_has_its_line_in_the_matrix() -> None:
    tests = {str(path.relative_to(ROOT)) for path in (ROOT / "tests/faults").glob("test_*.py")}
    assert tests - BESIDE_THE_MATRIX <= {test for line in MATRIX.values() for test in line}
