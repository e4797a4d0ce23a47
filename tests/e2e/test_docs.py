"""The documents keep to the code: links lead somewhere, drawings are the graphs, tables name what there is."""

import re
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from typer.main import get_command

from control_plane.cli.main import app
from control_plane.services.forks import STAGES
from domain.action import ExecutorKind
from domain.audit import NOT_COVERED
from domain.calibration import CalibrationStatus
from domain.decision import ResultKind
from domain.guard import Hop
from domain.settings import Settings
from domain.task_type import CertifySpec, StrategySpec
from evaluation.governance.row import CHAIN_STATES, KINDS
from guardrails.filters import FILTERS
from guardrails.schema import FACTS
from negotiation.strategies import STRATEGIES
from orchestration.graph import build_graphs
from tests.unit.negotiation.property_table import HOLDS, PROPERTIES

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "pilots").rglob("*.md")])
LINK = re.compile(r"\]\(([^)#:]*)(?:#([^)]+))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
DRAWN = re.compile(r"^  (\S+) --> (\S+?)(?::.*)?$", re.MULTILINE)
COMMAND = re.compile(r"`parley ([a-z]+)|^(?:    \$ |\$ )?parley ([a-z]+)", re.MULTILINE)
STORED = re.compile(r"```mermaid\n(.*?)```", re.DOTALL)
SETTINGS = {name: field for name, field in Settings.model_fields.items() if name != "home"}
ENDS = {"__start__": "[*]", "__end__": "[*]"}


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = [
        f"{file}#{place}"
        for file, place in LINK.findall(page.read_text(encoding="utf-8"))
        if not (page.parent / file).exists() or (place and place not in _places(page.parent / file if file else page))
    ]
    assert broken == []


def _places(page: Path) -> set[str]:
    """The anchors of a page's headings."""
    headings = HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def _edges(graph: Any) -> set[tuple[str, str]]:
    return {(ENDS.get(e.source, e.source), ENDS.get(e.target, e.target)) for e in graph.get_graph().edges}


def test_the_drawings_are_the_graphs() -> None:
    graphs = build_graphs(InMemorySaver(), InMemorySaver())
    drawn = [set(DRAWN.findall(block)) for block in STORED.findall(_text("docs/architecture.md"))]
    assert drawn == [_edges(graphs.task), _edges(graphs.subtask)]


def test_the_layers_are_those_of_the_contract() -> None:
    contract = re.search(r"^layers =\n((?:    .+\n)+)", _text(".importlinter"), re.MULTILINE)
    assert contract is not None
    layers = [line.strip() for line in contract[1].splitlines()]
    assert "```\n" + "\n".join(layers) + "\n```" in _text("docs/architecture.md")


def test_the_readme_names_every_command_and_no_other() -> None:
    rows = re.findall(r"^\| (`parley .*?) \|", _text("README.md"), re.MULTILINE)
    named = {word.removeprefix("parley ").split()[0] for row in rows for word in re.findall(r"`([^`]+)`", row)}
    assert named == set(get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("docs/negotiation.md", STRATEGIES),
        ("docs/negotiation.md", [kind.value for kind in ResultKind]),
        ("docs/negotiation.md", set(StrategySpec.model_fields) - {"name", "parameters", "auto_rounds"}),
        ("docs/calibration.md", CertifySpec.model_fields),
        ("docs/calibration.md", [status.value for status in CalibrationStatus]),
        ("docs/guardrails.md", FILTERS),
        ("docs/guardrails.md", FACTS),
        ("docs/reliability.md", [kind.value for kind in ExecutorKind]),
        ("docs/howto/replay_and_fork.md", STAGES),
        ("docs/howto/governance_report.md", KINDS),
        ("docs/howto/governance_report.md", CHAIN_STATES),
        ("docs/runbooks/stack.md", [field.alias or f"PARLEY_{name.upper()}" for name, field in SETTINGS.items()]),
    ],
)
def test_tables_name_what_there_is(page: str, names: Any) -> None:
    for name in names:
        assert re.search(rf"^\| `?{name}`? \|", _text(page), re.MULTILINE), name


def _rows(page: str, head: str) -> list[tuple[str, ...]]:
    """The cells of the table under that head."""
    lines = _text(page).split(f"{head}\n", 1)[1].splitlines()[1:]
    until = next(number for number, line in enumerate(lines) if not line.startswith("|"))
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines[:until]]


def test_the_properties_are_those_that_are_tested() -> None:
    stated = {
        name: (words, set(re.findall(r"`(\w+)`", exceptions)))
        for name, words, exceptions in _rows("docs/negotiation.md", "| property | what holds | not for |")
    }
    assert stated == {
        name: (words, {strategy for strategy, row in HOLDS.items() if row[name] is not True})
        for name, words in PROPERTIES.items()
    }


def test_each_exception_is_given_its_reason() -> None:
    stated = {
        (strategy.strip("`"), name): why
        for strategy, names, why in _rows("docs/negotiation.md", "| strategy | does not hold | why |")
        for name in names.split(", ")
    }
    assert stated == {
        (strategy, name): cell for strategy, row in HOLDS.items() for name, cell in row.items() if cell is not True
    }


def test_what_strategies_need_and_measure() -> None:
    head = "| name | score of an option | decided when | parameters | needs | measure |"
    stated = {row[0].strip("`"): row[3:] for row in _rows("docs/negotiation.md", head)}
    assert {name: row[1:] for name, row in stated.items()} == {
        name: (strategy.needs, strategy.measure) for name, strategy in STRATEGIES.items()
    }
    for name, strategy in STRATEGIES.items():
        assert set(re.findall(r"`(\w+)`", stated[name][0])) == set(strategy.Parameters.model_fields), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_exist(page: Path) -> None:
    found = {one or other for one, other in COMMAND.findall(page.read_text(encoding="utf-8"))}
    assert found <= set(get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("hop", FACTS)
def test_the_facts_of_each_hop_are_listed(hop: Hop) -> None:
    row = next(line for line in _text("docs/guardrails.md").splitlines() if line.startswith(f"| {hop} |"))
    if hop != "retrieved":
        assert set(re.findall(r"`(\w+)`", row.rsplit(" | ", 1)[1])) - {"abstain"} == set(FACTS[hop])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_shows_it_is_there(page: Path) -> None:
    """A test that a page names as evidence exists."""
    named = re.findall(r"`(tests/[\w/.]+)`", page.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("folder", ["howto", "runbooks"])
def test_each_page_is_linked_from_another(folder: str) -> None:
    linked = {(page.parent / file).resolve() for page in PAGES for file, _ in LINK.findall(page.read_text("utf-8"))}
    assert set((ROOT / "docs" / folder).glob("*.md")) <= linked


def test_each_kind_of_audit_problem_has_its_meaning() -> None:
    found = set(re.findall(r'Problem\([^()]*?, "([a-z]+)", ', _text("domain/audit_check.py")))
    assert found == {"edited", "missing", "reordered", "outside", "head", "cut"}
    for kind in (*found, "anchor"):
        assert re.search(rf"^\| `{kind}` \|", _text("docs/audit.md"), re.MULTILINE), kind


def test_what_the_chain_does_not_speak_for_is_listed() -> None:
    rows = re.findall(r"^  \| `(\w+)` \| (.+) \|$", _text("docs/audit.md"), re.MULTILINE)
    assert {table: tuple(re.findall(r"`(\w+)`", columns)) for table, columns in rows} == NOT_COVERED
