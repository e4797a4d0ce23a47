from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from catalog.load import load_catalog
from catalog.yaml_files import MAX_BYTES
from domain.errors import CatalogError, UnknownTaskType
from guardrails.gate import CedarGate
from tasks.executors import EXECUTORS

PILOTS = Path(__file__).resolve().parents[3] / "pilots"


def refused(pilot, path, expected="", file="task_type.yaml"):
    with pytest.raises(CatalogError) as error:
        pilot.load()
    assert error.value.path == path
    assert error.value.file == str(pilot.folder / file)
    assert expected in error.value.expected


def test_a_sound_pilot(pilot):
    catalog = pilot.load()
    assert catalog.names() == ("loan",)
    assert catalog.task_type("loan").folder == str(pilot.folder)
    assert [panelist.persona.id for panelist in catalog.panelists("loan", "decide")] == ["bob", "ann"]
    assert sorted(catalog.personas("loan")) == ["ann", "bob"]
    assert isinstance(catalog.gate("loan"), CedarGate)
    assert catalog.facts("loan") == ()
    with pytest.raises(UnknownTaskType, match="known: loan"):
        catalog.task_type("lona")


def test_the_projects_own_pilots():
    catalog = load_catalog(PILOTS, EXECUTORS)
    assert "credit_review" in catalog.names()
    assert all(catalog.facts(name) for name in catalog.names())


@pytest.mark.parametrize(
    ("change", "path", "expected"),
    [
        ({"version": 0}, "version", "greater than or equal to 1"),
        ({"colour": "red"}, "colour", "Extra"),
        ({"answer": "other"}, "answer", "decide"),
        ({"folder": "/etc"}, "folder", "no such field"),
        ({"outcome_map": {"good": "flee"}}, "outcome_map.good", "approve, decline"),
        ({"sla": {"deadline": "soon"}}, "sla.deadline", ""),
        ({"payload_schema": {"type": "array"}}, "payload_schema.type", "object"),
        ({"payload_schema": {"type": "object"}}, "payload_schema.properties", ""),
    ],
)
def test_a_broken_task_type(pilot, change, path, expected):
    pilot.value |= change
    pilot.write()
    refused(pilot, path, expected)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"panel": ["ann", "eve"]}, "plan.subtasks[0].panel[1]"),
        ({"executor": "rocket"}, "plan.subtasks[0].executor"),
        ({"strategy": {"name": "vibes"}}, "plan.subtasks[0].strategy.name"),
        ({"strategy": {"name": "plurality", "quorum": "much"}}, "plan.subtasks[0].strategy.quorum"),
        ({"strategy": {"name": "plurality", "rounds": 0}}, "plan.subtasks[0].strategy.rounds"),
        ({"strategy": {"name": "consensus", "parameters": {"tau": 7}}}, "plan.subtasks[0].strategy.parameters.tau"),
        (
            {"strategy": {"name": "lead_decides", "parameters": {"lead": "eve"}}},
            "plan.subtasks[0].strategy.parameters.lead",
        ),
        (
            {"strategy": {"name": "plurality", "certify": {"stake_limit": 9}}},
            "plan.subtasks[0].strategy.certify.stake_limit",
        ),
        ({"when": "nonsense"}, "plan.subtasks[0].when"),
        ({"panel": ["ann"]}, "plan.subtasks[0].strategy.min_casting"),
        (
            {"strategy": {"name": "plurality", "when_calibrated": {"name": "vibes"}}},
            "plan.subtasks[0].strategy.when_calibrated.name",
        ),
        (
            {"strategy": {"name": "plurality", "when_calibrated": {"certify": {"stake_limit": 9}}}},
            "plan.subtasks[0].strategy.when_calibrated.certify.stake_limit",
        ),
        ({"actions": [{"name": "approve"}], "strategy": {"name": "log_odds"}}, "plan.subtasks[0].strategy.name"),
    ],
)
def test_a_broken_subtask(pilot, change, path):
    pilot.value["outcome_map"] = {"good": "approve"}
    pilot.value["plan"]["subtasks"][0] |= change
    pilot.write()
    refused(pilot, path)


@pytest.mark.parametrize(
    ("strategy", "path"),
    [
        ({"name": "calibrated_pool"}, "strategy.name"),
        ({"name": "plurality", "certify": {}}, "strategy.certify"),
        ({"name": "plurality", "when_calibrated": {}}, "strategy.when_calibrated"),
    ],
)
def test_only_the_answer_can_wait_for_a_calibration(pilot, strategy, path):
    subtasks = pilot.value["plan"]["subtasks"]
    subtasks[0]["strategy"] = strategy
    subtasks.append({**subtasks[0], "id": "letter", "strategy": {"name": "plurality"}})
    pilot.write()
    pilot.load()
    subtasks[0]["strategy"], subtasks[1]["strategy"] = subtasks[1]["strategy"], strategy
    pilot.write()
    refused(pilot, f"plan.subtasks[1].{path}", "only on the task type's answer")


@pytest.mark.parametrize(
    ("field", "path"),
    [
        ({"type": "nonsense"}, "properties.extra.type"),
        ({"type": "string", "enum": ["no", True]}, "properties.extra.enum[1]"),
        ({"type": "integer", "enum": [True]}, "properties.extra.enum[0]"),
        ({"$ref": "https://example.org/schema"}, "properties.extra.$ref"),
        ({"$ref": "#/$defs/nowhere"}, "properties.extra.$ref"),
        ({"$ref": "#"}, "properties.extra.$ref"),
    ],
)
def test_a_broken_payload_schema(pilot, field, path):
    pilot.value["payload_schema"]["properties"]["extra"] = field
    pilot.write()
    refused(pilot, f"payload_schema.{path}")


def test_an_open_payload_schema(pilot):
    pilot.value["payload_schema"]["additionalProperties"] = True
    pilot.write()
    refused(pilot, "payload_schema.additionalProperties", "false")


@pytest.mark.parametrize("loop", [{"$ref": "#/$defs/loop"}, {"anyOf": [{"$ref": "#/$defs/loop"}]}])
def test_references_that_lead_in_circles(pilot, loop):
    pilot.value["payload_schema"]["$defs"]["loop"] = loop
    pilot.value["payload_schema"]["properties"]["extra"] = {"$ref": "#/$defs/loop"}
    pilot.write()
    refused(pilot, "payload_schema.properties.extra", "circle")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: loan\nname: other\n", "'name' is given twice"),
        ("a: {b: 1, b: 2}", "'b' is given twice"),
        ("a: [1", "valid YAML"),
        ("a: !!python/object/apply:os.system [id]", "valid YAML"),
        ("? [a]\n: b", "valid YAML"),
        ("- 1", "a mapping"),
        ("", "a mapping"),
        ("since: 2024-13-45", "valid YAML"),
        ("[" * 5000, "valid YAML"),
        ("#" * (MAX_BYTES + 1), f"at most {MAX_BYTES} bytes"),
        ("a: &a [" + "1," * 99 + "]\nb: &b [" + "*a," * 99 + "]\nc: [" + "*b," * 99 + "]", "aliases"),
        ("a: &a\n  - *a", "recursive"),
    ],
)
def test_a_file_that_is_not_a_value(pilot, text, expected):
    pilot.text(text)
    refused(pilot, "", expected)


def test_not_utf8(pilot):
    (pilot.folder / "task_type.yaml").write_bytes(b"name: \xff")
    refused(pilot, "", "UTF-8")


def test_a_view_of_an_unknown_field(pilot):
    pilot.persona("ann", view=["amount", "age"])
    refused(pilot, "view[1]", "'age'", "personas/ann.yaml")


def test_of_a_mistyped_name_the_one_that_stands_there_is_told(pilot):
    file = pilot.folder / "task_type.yaml"
    file.write_text(file.read_text().replace("strategy:", "stratgy:"))
    refused(pilot, "plan.subtasks[0].stratgy", "strategy is missing")


def test_a_broken_persona(pilot):
    pilot.persona("ann", reasoner={"kind": "tea_leaves"})
    refused(pilot, "reasoner.kind", "", "personas/ann.yaml")


def test_a_broken_policy(pilot):
    (pilot.folder / "policies.cedar").write_text("permit (nonsense")
    with pytest.raises(CatalogError) as error:
        pilot.load()
    assert error.value.file.endswith("policies.cedar")


def test_one_name_in_two_folders(pilot, tmp_path):
    pilot.folder.rename(tmp_path / "one")
    type(pilot)(tmp_path)
    with pytest.raises(CatalogError, match="a name of its own"):
        pilot.load()


def test_nothing_to_load(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(CatalogError, match="at least one pilot"):
            load_catalog(folder, EXECUTORS)


def facts(pilot, *entries):
    (pilot.folder / "facts.yaml").write_text(yaml.safe_dump(list(entries)))


def test_facts(pilot):
    facts(
        pilot,
        {"id": "f1", "text": "so", "since": "2024-01-01"},
        {"id": "f2", "text": "no", "since": "2024-01-01T10:00:00+02:00"},
    )
    first, second = pilot.load().facts("loan")
    assert (first.id, first.kind, first.task_type, first.text) == ("loan.f1", "semantic", "loan", "so")
    assert first.known_at == datetime(2024, 1, 1, tzinfo=UTC)
    assert second.known_at == datetime(2024, 1, 1, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        ({"id": "f1", "text": "again", "since": "2024-01-01"}, "[1].id"),
        ({"id": "f2", "text": "", "since": "2024-01-01"}, "[1].text"),
        ({"id": "f2", "text": "no date"}, "[1].since"),
    ],
)
def test_broken_facts(pilot, entry, path):
    facts(pilot, {"id": "f1", "text": "so", "since": "2024-01-01"}, entry)
    refused(pilot, path, "", "facts.yaml")


HOOK = {"url": "https://pay.example/act"}


@pytest.mark.parametrize(
    ("change", "path", "expected"),
    [
        ({"executor": "webhook"}, "executor_parameters.url", "required"),
        ({"executor": "webhook", "executor_parameters": {"url": "ftp://x"}}, "executor_parameters.url", "https?://"),
        ({"executor": "webhook", "executor_parameters": {"url": "http://"}}, "executor_parameters.url", "a host"),
        (
            {"executor": "webhook", "executor_parameters": {"url": "http://x:port"}},
            "executor_parameters.url",
            "a URL is expected",
        ),
        (
            {"executor": "webhook", "executor_parameters": {**HOOK, "kind": "sure"}},
            "executor_parameters.kind",
            "'dedup'",
        ),
        ({"executor": "webhook", "executor_parameters": {**HOOK, "kind": "query"}}, "executor_parameters", "query_url"),
        (
            {"executor": "webhook", "executor_parameters": {**HOOK, "timeout": 3}},
            "executor_parameters.timeout",
            "not permitted",
        ),
        ({"executor_parameters": HOOK}, "executor_parameters.url", "not permitted"),
        ({"fallback": {"executor": "webhook"}}, "fallback.parameters.url", "required"),
        (
            {"compensate": {"executor": "webhook", "parameters": {**HOOK, "timeout_seconds": 0}}},
            "compensate.parameters.timeout_seconds",
            "greater than 0",
        ),
    ],
)
def test_executor_parameters_are_checked_when_they_are_loaded(pilot, change, path, expected):
    pilot.value["plan"]["subtasks"][0] |= change
    pilot.write()
    refused(pilot, f"plan.subtasks[0].{path}", expected)


def test_right_parameters_are_loaded(pilot):
    pilot.value["plan"]["subtasks"][0] |= {
        "executor": "webhook",
        "executor_parameters": HOOK,
        "fallback": {"executor": "record_decision"},
        "compensate": {"executor": "webhook", "parameters": HOOK},
    }
    pilot.write()
    pilot.load()
