from pathlib import Path

import pytest

from domain.errors import CatalogError
from guardrails.examples import check_examples, read_examples
from guardrails.gate import load_gate

PERMIT = '@id("P") permit (principal, action, resource);\n'
FORBID = '@id("F") @effect("deny") @reason("r") @owner("o") forbid (principal, action == Action::"input", resource) when {{ {} }};\n'  # noqa: E501
CASE = "{{name: a case, hop: input, facts: {{stake_cents: {}}}, effect: {}}}"


def _examples(tmp_path: Path, matches: str, misses: str, policies: str, make_task_type):
    (tmp_path / "policies.cedar").write_text(policies, encoding="utf-8")
    text = f"P: {{matches: [{CASE.format(1, 'allow')}], misses: [{CASE.format(9, 'deny')}]}}\n"
    text += f"F: {{matches: [{matches}], misses: [{misses}]}}\n"
    (tmp_path / "policy_examples.yaml").write_text(text, encoding="utf-8")
    return check_examples(load_gate(make_task_type(tmp_path)), read_examples(tmp_path / "policy_examples.yaml"))


def test_the_credit_pilot_agrees_with_its_examples(gate, pilot):
    assert check_examples(gate, read_examples(pilot / "policy_examples.yaml")) == []


def test_a_policy_that_never_matches_is_found(tmp_path, make_task_type):
    case, other = CASE.format(9, "deny"), CASE.format(1, "allow")
    assert _examples(tmp_path, case, other, PERMIT + FORBID.format("context.stake_cents > 5"), make_task_type) == []
    problems = _examples(tmp_path, case, other, PERMIT + FORBID.format("false"), make_task_type)
    assert any("F: a case: should match" in problem for problem in problems)


def test_a_policy_that_always_matches_is_found(tmp_path, make_task_type):
    policies = PERMIT + FORBID.format("true")
    problems = _examples(tmp_path, CASE.format(9, "deny"), CASE.format(1, "allow"), policies, make_task_type)
    assert any("F: a case: should not match" in problem for problem in problems)


def test_a_miss_must_be_judged_by_some_policy(tmp_path, make_task_type):
    malformed = "{name: a case, hop: input, facts: {}, effect: deny}"
    policies = PERMIT + FORBID.format("context.stake_cents > 5")
    problems = _examples(tmp_path, CASE.format(9, "deny"), malformed, policies, make_task_type)
    assert len(problems) == 1
    assert "no policy judged it" in problems[0]


def test_each_policy_needs_a_match_and_a_miss(tmp_path, make_task_type):
    policies = PERMIT + FORBID.format("context.stake_cents > 5")
    assert _examples(tmp_path, "", "", policies, make_task_type) == [
        "F: matches: at least one",
        "F: misses: at least one",
    ]


def test_examples_and_policies_cover_each_other(gate, pilot):
    examples = read_examples(pilot / "policy_examples.yaml")
    examples["NEW-001"] = examples.pop("FIN-001")
    assert check_examples(gate, examples) == ["FIN-001: has no examples", "NEW-001: there is no such policy"]


@pytest.mark.parametrize("text", ["[", "- a list", "F: {matches: [{hop: nowhere}], misses: []}"])
def test_a_broken_examples_file_is_named(tmp_path, text):
    file = tmp_path / "policy_examples.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(CatalogError, match=r"policy_examples\.yaml"):
        read_examples(file)
