"""The `guards` section of a task type: what cannot be is told with its file and place."""

import subprocess
import sys

import pytest

from domain.errors import CatalogError
from domain.guard import Hop


def _load(pilot, guards):
    pilot.value["guards"] = guards
    pilot.write()
    return pilot.load()


def test_a_full_section_sets_up_the_filters(pilot):
    gate = _load(
        pilot,
        {
            "pii": "presidio",
            "form": {"max_chars": 5000},
            "judge": {"model": "gpt-x", "base_url": "https://models.example.org/v1", "hops": ["arguments", "proposal"]},
            "middleware": [
                {"name": "pii", "types": ["email"], "strategy": "mask"},
                {"name": "human_in_the_loop", "actions": ["approve"], "decisions": ["approve", "reject"]},
            ],
            "time_limit_seconds": 2.5,
        },
    ).gate("loan")
    assert gate.guards["judge"].hops == {Hop.ARGUMENTS, Hop.PROPOSAL}
    assert all(gate.guards[name].hops for name in ("presidio", "middleware", "human_in_the_loop"))
    assert gate._limit == 2.5


@pytest.mark.parametrize(
    ("guards", "path", "expected"),
    [
        ({"pii": "scrubadub"}, "guards.pii", "'core' or 'presidio'"),
        ({"middelware": []}, "guards.middelware", "Extra inputs"),
        ({"middleware": [{"name": "summarise"}]}, "guards.middleware[0]", "'pii', 'human_in_the_loop'"),
        ({"middleware": [{"name": "pii", "types": ["ssn"]}]}, "guards.middleware[0].pii.types[0]", "'email'"),
        ({"middleware": [{"name": "pii", "types": []}]}, "guards.middleware[0].pii.types", "at least 1"),
        (
            {"middleware": [{"name": "pii", "types": ["ip"], "strategy": "drop"}]},
            "guards.middleware[0].pii.strategy",
            "'block'",
        ),
        (
            {"middleware": [{"name": "human_in_the_loop", "actions": ["pay"]}]},
            "guards.middleware[0].actions[0]",
            "an action of the task type (approve, decline), got 'pay'",
        ),
        (
            {"middleware": [{"name": "human_in_the_loop", "actions": ["approve"]}] * 2},
            "guards",
            "human_in_the_loop at most once",
        ),
        ({"judge": {"base_url": "https://x"}}, "guards.judge.model", "required"),
        ({"judge": {"model": "m", "base_url": "ftp://x"}}, "guards.judge.base_url", "pattern"),
        ({"judge": {"model": "m", "api_key": "sk-1"}}, "guards.judge.api_key", "Extra inputs"),
        ({"judge": {"model": "m", "hops": ["input"]}}, "guards.judge.hops[0]", "arguments"),
        ({"time_limit_seconds": 0}, "guards.time_limit_seconds", "greater than 0"),
    ],
)
def test_what_cannot_be_is_told_with_its_place(pilot, guards, path, expected):
    with pytest.raises(CatalogError) as caught:
        _load(pilot, guards)
    assert (caught.value.file, caught.value.path) == (str(pilot.folder / "task_type.yaml"), path)
    assert expected in caught.value.expected


def test_a_catalog_is_loaded_without_what_filters_load_later(pilot):
    _load(pilot, {"pii": "presidio", "judge": {"model": "m"}, "middleware": [{"name": "pii", "types": ["email"]}]})
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from catalog.load import load_catalog\n"
        "from tasks.executors.record_decision import RecordDecision\n"
        f"load_catalog(Path({str(pilot.root)!r}), {{'record_decision': RecordDecision}})\n"
        "found = {'presidio_analyzer', 'spacy', 'detect_secrets', 'langchain', 'langgraph'} & set(sys.modules)\n"
        "sys.exit(f'imported: {sorted(found)}' if found else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
