"""`parley policy check`: policies beside their examples, and what it says where they disagree."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from control_plane.cli.main import main
from domain.settings import ROOT

SHARED = """
@id("ALL-1") @effect("deny") @reason("No task without a stake") @owner("everybody")
forbid (principal, action == Action::"input", resource) when { context.stake_cents == 0 };
@id("ALL-2") @effect("deny") @reason("No proposal without a reason") @owner("everybody")
forbid (principal, action == Action::"proposal", resource)
when { context.reason_count == 0 && context.action != "abstain" };
"""
SHARED_EXAMPLES = """
x-said: &said {action: approve, confidence_bp: 1, has_rationale: true, evidence_count: 0}
ALL-1:
  matches: [{name: none, hop: input, facts: {stake_cents: 0}, effect: deny}]
  misses: [{name: some, hop: input, facts: {stake_cents: 1}, effect: allow}]
ALL-2:
  matches: [{name: none, hop: proposal, facts: {<<: *said, reason_count: 0}, effect: deny}]
  misses: [{name: one, task_type: loan, hop: proposal, facts: {<<: *said, reason_count: 1}, effect: allow}]
"""


@pytest.fixture
def pilots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shipped pilot twice, under two names."""
    folder = tmp_path / "pilots"
    shutil.copytree(ROOT / "pilots" / "credit_review", folder / "credit_review")
    shutil.copytree(folder / "credit_review", folder / "loan")
    for file in (folder / "loan").glob("*.*"):
        file.write_text(file.read_text().replace("credit_review", "loan"))
    monkeypatch.setenv("PARLEY_CATALOG", str(folder))
    return folder


def _check(capsys: pytest.CaptureFixture[str], *types: str, code: int = 0) -> dict[str, Any]:
    assert main(["policy", "check", *types, "--json"]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_the_shipped_policies_agree_with_their_examples(capsys: pytest.CaptureFixture[str]) -> None:
    found = _check(capsys)
    assert (found["agrees"], found["problems"]) == (True, [])
    rows = {one["id"]: one for one in found["policies"]}
    assert {one["scope"] for one in rows.values()} == {"platform", "credit_review"}
    assert rows["FIN-001"] == {
        "id": "FIN-001",
        "effect": "require_approval",
        "scope": "credit_review",
        "owner": "credit-risk",
        "matches": 2,
        "misses": 3,
        "file": str(ROOT / "pilots" / "credit_review" / "policies.cedar"),
    }
    assert all(one["matches"] and one["misses"] for one in rows.values())


def test_some_types_alone(pilots: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = _check(capsys, "loan")
    assert {one["scope"] for one in found["policies"]} == {"platform", "loan"}
    assert set(found["hashes"]) == {"loan"}
    assert _check(capsys, "lone", code=2)["error"]["kind"] == "UnknownTaskType"


def test_an_example_that_comes_out_otherwise_is_named(pilots: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _replace(pilots / "loan" / "policies.cedar", "stake_cents > 250000", "stake_cents > 300000")
    found = _check(capsys, code=1)
    assert not found["agrees"]
    problem = found["problems"][0]
    assert (problem["file"], problem["policy"]) == (str(pilots / "loan" / "policy_examples.yaml"), "FIN-001")
    assert problem["problem"].startswith("one cent over the limit: should match; got allow by ['PERMIT-ARGUMENTS']")
    assert main(["policy", "check"]) == 1
    shown = capsys.readouterr().out
    assert "loan/policy_examples.yaml: FIN-001: one cent over the limit: should match" in shown
    assert " examples: 1 disagreement\n" in shown


def test_a_pilot_without_examples_disagrees(pilots: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (pilots / "loan" / "policy_examples.yaml").unlink()
    problems = _check(capsys, code=1)["problems"]
    assert {one["file"] for one in problems} == {str(pilots / "loan" / "policy_examples.yaml")}
    assert ("", "there is no such file: each policy needs examples") in {(o["policy"], o["problem"]) for o in problems}
    assert ("FIN-001", "has no examples") in {(o["policy"], o["problem"]) for o in problems}


def test_a_policy_and_its_examples_go_together(pilots: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _replace(pilots / "loan" / "policies.cedar", '@id("EXP-002")', '@id("EXP-003")')
    problems = {(one["policy"], one["problem"]) for one in _check(capsys, code=1)["problems"]}
    assert {("EXP-003", "has no examples"), ("EXP-002", "there is no such policy")} <= problems


def test_what_holds_for_all_is_tried_on_each_type(pilots: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (pilots / "policies.cedar").write_text(SHARED)
    (pilots / "policy_examples.yaml").write_text(SHARED_EXAMPLES)
    found = _check(capsys)
    rows = {one["id"]: (one["scope"], one["matches"], one["misses"]) for one in found["policies"]}
    assert (rows["ALL-1"], rows["ALL-2"]) == (("catalog", 2, 2), ("catalog", 2, 1))
    _replace(pilots / "policies.cedar", "stake_cents == 0", "stake_cents == 5")
    problems = [(one["policy"], one["problem"]) for one in _check(capsys, code=1)["problems"]]
    assert [policy for policy, _ in problems] == ["ALL-1", "ALL-1"]
    assert sorted(problem.rpartition(" ")[2] for _, problem in problems) == ["credit_review)", "loan)"]


def test_an_example_of_no_type_is_found(pilots: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (pilots / "policies.cedar").write_text(SHARED)
    (pilots / "policy_examples.yaml").write_text(SHARED_EXAMPLES.replace("task_type: loan", "task_type: lone"))
    [problem] = _check(capsys, code=1)["problems"]
    assert (problem["policy"], problem["problem"]) == (
        "ALL-2",
        "one: task_type 'lone': not one that the policy holds for",
    )


def test_what_holds_for_all_needs_examples_too(pilots: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (pilots / "policies.cedar").write_text(SHARED)
    problems = _check(capsys, code=1)["problems"]
    assert {one["file"] for one in problems} == {str(pilots / "policy_examples.yaml")}


@pytest.mark.parametrize(
    ("where", "old", "new", "says"),
    [
        ("loan/policies.cedar", "context.stake_cents >", "context.stakes >", "FIN-001"),
        ("loan/policies.cedar", 'context.action == "approve"', 'context.action == "aprove"', "approve, decline"),
        ("loan/policy_examples.yaml", "FIN-001:", "FIN-001: [", "policy_examples.yaml"),
        ("policies.cedar", "context.stake_cents", "context.stakes", "ALL-1"),
        (
            "policies.cedar",
            '"abstain"',
            '"abstian"',
            "policy ALL-2: context.action is one of abstain, approve",
        ),
        ("policies.cedar", "context.stake_cents == 0", "context.payload has Amuont", "none has payload.Amuont"),
    ],
)
def test_a_broken_file_is_bad_input(
    pilots: Path, capsys: pytest.CaptureFixture[str], where: str, old: str, new: str, says: str
) -> None:
    (pilots / "policies.cedar").write_text(SHARED)
    (pilots / "policy_examples.yaml").write_text(SHARED_EXAMPLES)
    _replace(pilots / where, old, new)
    error = _check(capsys, code=2)["error"]
    assert error["kind"] == "CatalogError"
    assert str(pilots / where) in error["message"]
    assert says in error["message"]
