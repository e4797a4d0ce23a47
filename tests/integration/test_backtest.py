"""Recorded tasks under other policies: newly allowed, newly blocked, and what cannot be said."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from control_plane.cli.main import main
from control_plane.services import outcomes
from control_plane.services.backtest import BacktestRequest, backtest
from domain.errors import CatalogError, ParleyError
from domain.quotes import Quotes
from domain.settings import ROOT, Settings
from domain.task import TaskStatus
from evaluation.rates import rate
from guardrails.filters import FILTERS
from orchestration.run import Runtime
from storage.repositories import erasing, erasure, judged
from tests.fakes.target import fake_target
from tests.integration.acting import Acting, acting
from tests.integration.commands import pointed_at
from tests.integration.five_subtasks import POLICIES
from tests.integration.test_lanes import CLEAR, LARGE, SPLIT
from tests.integration.test_policy_effects import RECORD, Words, approve, forbid, says, submit, write
from tests.integration.test_replay import finish

OWN = ROOT / "pilots" / "credit_review" / "policies.cedar"
TAINTS = """
@id("WARY") @obligation("taint")
permit (principal, action == Action::"{hop}", resource) when {{ {when} }};
"""


def _file(folder: Path, *texts: str, name: str = "candidate.cedar") -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text("".join(texts))
    return file


def _own(folder: Path, old: str = "", new: str = "", added: str = "") -> Path:
    """The credit pilot's policies, changed."""
    policies = OWN.read_text()
    assert old in policies
    return _file(folder, policies.replace(old, new) if old else policies, added)


async def _tried(
    runtime: Runtime, tasks: int, *files: Path, kind: str = "credit_review", **more: Any
) -> dict[str, Any]:
    """On the newest tasks alone: others of the module are older."""
    return await backtest(runtime.engine, runtime.catalog, BacktestRequest(kind, files, limit=tasks, **more))


async def _counts(runtime: Runtime) -> list[tuple[Any, ...]]:
    tables = ("tasks", "verdicts", "events", "approvals", "actions", "audit_log")
    sql = " UNION ALL ".join(f"SELECT '{name}', count(*), sum(xmin::text::bigint) FROM {name}" for name in tables)
    async with runtime.engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(sql))]


async def test_the_same_policies_change_nothing_and_nothing_is_written(runtime: Runtime, tmp_path: Path) -> None:
    for payload in (CLEAR, LARGE, SPLIT):
        await finish(runtime, payload)
    before = await _counts(runtime)
    found = await _tried(runtime, 3, OWN)
    assert await _counts(runtime) == before
    assert (found["tasks"]["total"], found["tasks"]["judged"], found["tasks"]["partly"]) == (3, 3, 0)
    assert found["not_judged"] == found["by_policy"] == {}
    for hop in ("input", "proposal", "arguments", "response"):
        one = found["hops"][hop]
        assert one["same"] == one["judged"] == one["verdicts"] > 0, hop
    assert found["tasks"]["newly_blocked"] == rate(0, 3).model_dump()
    assert found["policy_hash"] == runtime.catalog.gate("credit_review").policy_hash
    assert list(found["recorded_under"]) == [found["policy_hash"]]


async def test_what_is_newly_allowed_and_newly_blocked_and_by_whom(runtime: Runtime, tmp_path: Path) -> None:
    clear, large = await finish(runtime, CLEAR), await finish(runtime, LARGE)
    looser = _own(tmp_path, "context.stake_cents > 250000", "context.stake_cents > 900000")
    found = await _tried(runtime, 2, looser)
    assert found["hops"]["arguments"]["effects"] == {"require_approval -> allow": 1}
    # After the approval it was allowed, and still is.
    assert (found["hops"]["arguments"]["newly_allowed"], found["hops"]["arguments"]["same"]) == (1, 2)
    assert found["tasks"]["newly_allowed"] == rate(1, 2).model_dump()
    assert found["by_policy"]["FIN-001"]["tasks"] == [large]
    [case] = found["cases"]["newly_allowed"]
    assert (case["task_id"], case["key"], case["policies"]) == (large, "guard:affordability:first", ["FIN-001"])

    stricter = _own(tmp_path, "context.stake_cents > 250000 && !context.approved", "context.stake_cents > 1000")
    found = await _tried(runtime, 2, stricter)
    effects = {"allow -> require_approval": 2}
    assert found["hops"]["arguments"]["effects"] == effects
    assert found["tasks"]["newly_blocked"] == rate(2, 2).model_dump()
    assert found["by_policy"]["FIN-001"] | {"tasks": ()} == {
        "newly_allowed": 0,
        "newly_blocked": 2,
        "changed": 0,
        "tasks": (),
    }
    assert set(found["by_policy"]["FIN-001"]["tasks"]) == {clear, large}


async def test_another_effect_that_stops_it_alike_is_a_change(runtime: Runtime, tmp_path: Path) -> None:
    await finish(runtime, LARGE)
    found = await _tried(runtime, 1, _own(tmp_path, '@effect("require_approval")', '@effect("deny")'))
    assert found["hops"]["arguments"]["effects"] == {"require_approval -> deny": 1}
    assert found["tasks"]["changed"] == rate(1, 1).model_dump()
    assert found["tasks"]["newly_blocked"]["hits"] == found["tasks"]["newly_allowed"]["hits"] == 0


async def test_what_nothing_permits_any_more_is_named_as_that(runtime: Runtime, tmp_path: Path) -> None:
    await finish(runtime, CLEAR)
    found = await _tried(runtime, 1, _own(tmp_path, 'action == Action::"input"', 'action == Action::"response"'))
    assert found["hops"]["input"]["effects"] == {"allow -> deny": 1}
    assert found["by_policy"]["(no policy permits this)"]["newly_blocked"] == 1


async def test_a_candidate_that_cannot_be_evaluated_allows_nothing(runtime: Runtime, tmp_path: Path) -> None:
    await finish(runtime, CLEAR)
    overflows = forbid("BIG", "deny", "arguments", "context.stake_cents * 9223372036854775807 < 0")
    found = await _tried(runtime, 1, _own(tmp_path, added=overflows))
    assert found["hops"]["arguments"]["effects"] == {"allow -> deny": 1}
    assert found["by_policy"]["(policy could not be evaluated)"]["newly_blocked"] == 1


async def test_taint_that_the_candidate_attaches_goes_on_to_the_action(runtime: Runtime, tmp_path: Path) -> None:
    await finish(runtime, CLEAR)
    wary = TAINTS.format(hop="input", when='context.payload has Job && context.payload.Job == "fixed"')
    found = await _tried(runtime, 1, _own(tmp_path, added=wary))
    assert (found["hops"]["input"]["newly_tainted"], found["hops"]["input"]["same"]) == (1, 1)
    assert found["hops"]["arguments"]["effects"] == {"allow -> require_approval": 1}
    assert found["by_policy"]["TAINT-003"]["newly_blocked"] == 1


async def test_other_platform_policies(runtime: Runtime, tmp_path: Path) -> None:
    await finish(runtime, CLEAR)
    strict = forbid("NONE", "halt", "response", "true")
    platform = _file(tmp_path, (ROOT / "guardrails" / "platform" / "policies.cedar").read_text(), strict)
    found = await _tried(runtime, 1, OWN, platform=platform)
    assert found["hops"]["response"]["effects"] == {"allow -> halt": 1}
    assert found["by_policy"]["NONE"]["newly_blocked"] == 1


async def test_the_newest_tasks_by_pages(runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [await finish(runtime, CLEAR) for _ in range(5)]
    monkeypatch.setattr(judged.judged_tasks, "__defaults__", (2,))
    followed: list[tuple[int, int]] = []
    denies = _own(tmp_path, added=forbid("NO", "deny", "input", "true"))
    request = BacktestRequest("credit_review", [denies], limit=5, limit_cases=3)
    found = await backtest(runtime.engine, runtime.catalog, request, lambda *given: followed.append(given))
    assert followed == [(2, 5), (4, 5), (5, 5)]
    assert found["tasks"]["newly_blocked"]["hits"] == 5
    assert [one["task_id"] for one in found["cases"]["newly_blocked"]] == ids[:1:-1]
    async with runtime.engine.connect() as connection:
        made = await connection.scalar(text("SELECT created_at FROM tasks WHERE id = :id"), {"id": ids[3]})
    assert (await _tried(runtime, 5, denies, since=made))["tasks"]["total"] == 2


async def test_a_person_who_was_erased_is_not_judged_again(runtime: Runtime) -> None:
    kept, erased = await finish(runtime, CLEAR), await finish(runtime, CLEAR)
    async with runtime.engine.begin() as connection:
        await erasing.put(connection, await erasure.own_changes(connection, [erased], Quotes(frozenset())))
    found = await _tried(runtime, 2, OWN)
    assert (found["tasks"]["judged"], found["tasks"]["not_judged"], found["tasks"]["partly"]) == (1, 1, 0)
    assert set(found["not_judged"]) == {"erased"}
    assert found["tasks"]["newly_blocked"]["n"] == 1
    assert kept not in str(found["cases"])


async def test_a_changed_record_is_not_judged_again(runtime: Runtime) -> None:
    task_id = await finish(runtime, CLEAR)
    async with runtime.engine.begin() as connection:
        sql = "UPDATE tasks SET payload = payload || '{\"Amount\": 9000}' WHERE id = :id"
        await connection.execute(text(sql), {"id": task_id})
    found = await _tried(runtime, 1, OWN)
    assert set(found["not_judged"]) == {"changed"}
    assert found["hops"]["input"]["not_judged"] == found["hops"]["arguments"]["not_judged"] == {"changed": 1}
    assert found["tasks"]["partly"] == 1


async def test_nothing_recorded_is_said(runtime: Runtime) -> None:
    with pytest.raises(ParleyError, match="no judged task is recorded"):
        await _tried(runtime, 1, OWN, since=datetime(2999, 1, 1, tzinfo=UTC))


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FILTERS, "injection", lambda _: Words("injection", "IGNORE"))  # type: ignore[arg-type]
    monkeypatch.setitem(FILTERS, "pii", lambda _: Words("pii", "Jo Doe"))  # type: ignore[arg-type]


async def _claims(stage: Acting, tasks: int, *texts: str, folder: Path) -> dict[str, Any]:
    return await _tried(stage.runtime, tasks, _file(folder / "other", POLICIES, *texts), kind="claim")


@pytest.mark.usefixtures("words")
async def test_what_was_redacted_or_downgraded_is_said_to_be_unknown(settings: Settings, tmp_path: Path) -> None:
    policies = forbid("IN-001", "redact", "input", "context.pii_bp > 0", '@redact("pii")')
    policies += forbid("LESS", "downgrade", "arguments", 'context.action == "covered"', '@downgrade_to("uncovered")')
    catalog = write(tmp_path, RECORD, policies)
    says(catalog, "cover_a", rationale="Jo Doe pays")
    async with acting(settings, catalog) as stage:
        assert await stage.run_on(await submit(stage, "pay Jo Doe")) is TaskStatus.DONE
        found = await _claims(stage, 1, folder=tmp_path)
    assert found["hops"]["input"]["not_judged"] == {"redacted": 1}
    assert found["hops"]["proposal"]["not_judged"] == {"redacted": 1}
    assert found["hops"]["arguments"]["not_judged"] == {"downgraded": 1}
    assert found["hops"]["response"]["same"] == 1


@pytest.mark.usefixtures("words")
async def test_a_withheld_answer_and_what_followed_from_a_verdict(settings: Settings, tmp_path: Path) -> None:
    policies = forbid("LESS", "downgrade", "arguments", "!context.approved")
    policies += forbid("OUT", "deny", "response", "true")
    with fake_target() as target:
        steps = {"book": {"executor_parameters": target.parameters()}}
        async with acting(settings, write(tmp_path, steps, policies)) as stage:
            task_id = await submit(stage)
            assert await stage.run_on(task_id) is TaskStatus.PARKED
            await approve(stage, task_id)
            await stage.run_on(task_id)
            own = Path(stage.runtime.catalog.task_type("claim").folder) / "policies.cedar"
            found = await _tried(stage.runtime, 1, own, kind="claim")
    assert found["hops"]["response"]["not_judged"] == {"withheld": 1}
    # There was no lesser action, so a person was asked.
    assert found["hops"]["arguments"]["not_judged"] == {"stage": 1}
    assert (found["hops"]["arguments"]["same"], found["hops"]["arguments"]["changed"]) == (1, 0)


async def test_a_proposal_that_was_struck_is_judged_again(settings: Settings, tmp_path: Path) -> None:
    policies = forbid("STRUCK", "deny", "proposal", 'context.persona == "cover_a"')
    async with acting(settings, write(tmp_path, RECORD, policies)) as stage:
        await stage.run_on(await submit(stage))
        found = await _claims(stage, 1, folder=tmp_path)
    assert found["not_judged"] == {}
    assert found["hops"]["proposal"]["effects"] == {"deny -> allow": 1}
    assert found["by_policy"]["STRUCK"]["newly_allowed"] == 1


async def test_a_memory_that_was_left_out_is_judged_again(settings: Settings, tmp_path: Path) -> None:
    policies = forbid("UNREAD", "deny", "retrieved", "true")
    async with acting(settings, write(tmp_path, RECORD, policies, episodic=3)) as stage:
        kind = stage.runtime.catalog.task_type("claim")
        types = {"claim": kind.model_copy(update={"outcome_map": {"ok": "covered"}})}
        first = await submit(stage)
        await stage.run_on(first)
        await outcomes.record_one(stage.runtime.engine, types, first, "ok", "ann")
        second = await submit(stage)
        await stage.run_on(second)
        found = await _claims(stage, 1, folder=tmp_path)
        assert found["not_judged"] == {}
        assert found["hops"]["retrieved"]["effects"] == {"deny -> allow": 1}
        assert found["by_policy"]["UNREAD"]["tasks"] == [second]
        async with stage.runtime.engine.begin() as connection:
            await erasing.put(connection, await erasure.own_changes(connection, [first], Quotes(frozenset())))
        found = await _claims(stage, 1, folder=tmp_path)
    assert found["hops"]["retrieved"]["not_judged"] == {"erased": 1}


async def test_what_was_undone_is_judged_again(settings: Settings, tmp_path: Path) -> None:
    with fake_target() as target:
        acts = {"executor_parameters": target.parameters(), "compensate": "cancel"}
        stops = forbid("STOP", "deny", "arguments", 'context.subtask == "charge"')
        async with acting(settings, write(tmp_path, {"book": acts, "charge": acts}, stops)) as stage:
            await stage.run_on(await submit(stage))
            found = await _claims(stage, 1, folder=tmp_path)
    assert found["not_judged"] == {}
    assert (found["hops"]["response"]["verdicts"], found["hops"]["response"]["same"]) == (2, 2)
    assert found["hops"]["arguments"]["effects"] == {"deny -> allow": 1}


@pytest.fixture
def database(dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Connection]:
    with pointed_at(dsn, monkeypatch, tmp_path) as connection:
        yield connection


@pytest.fixture
async def large(runtime: Runtime) -> str:
    return await finish(runtime, LARGE)


@pytest.mark.usefixtures("database")
def test_the_command(large: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    looser = _own(tmp_path, "context.stake_cents > 250000", "context.stake_cents > 900000")
    added = _file(tmp_path, forbid("NO", "deny", "input", "true"), name="added.cedar")
    command = ["policy", "backtest", "credit_review", "--limit", "1", "--policies", str(looser)]
    assert main([*command, str(added), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["policies"], found["written"]) == ([str(looser), str(added)], False)
    assert [found["tasks"][name]["hits"] for name in ("newly_allowed", "newly_blocked")] == [1, 1]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "credit_review: 1 of 1 tasks judged again" in shown
    assert f"newly allowed: 1 tasks, 100.0 % [20.7, 100.0] (n = 1): {large}" in shown
    assert "require_approval -> allow: 1" in shown
    assert "nothing was written" in shown


@pytest.mark.usefixtures("database", "large")
@pytest.mark.parametrize(
    ("text_", "where"),
    [
        (forbid("NOFIELD", "deny", "input", "context.steak_cents > 0"), "NOFIELD"),
        (forbid("TYPO", "deny", "arguments", 'context.action == "aprove"'), "TYPO"),
        ("permit (", "valid Cedar"),
        (OWN.read_text() + OWN.read_text(), "PERMIT-INPUT"),
    ],
)
def test_a_broken_candidate_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text_: str, where: str
) -> None:
    file = _file(tmp_path, text_)
    assert main(["policy", "backtest", "credit_review", "--policies", str(file), "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["kind"] == CatalogError.__name__
    assert str(file) in error["message"]
    assert where in error["message"]


@pytest.mark.usefixtures("database")
def test_a_missing_file_and_an_unknown_type_are_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "backtest", "credit_review", "--policies", "gone.cedar"]) == 2
    assert "gone.cedar" in capsys.readouterr().err
    assert main(["policy", "backtest", "nothing", "--policies", str(OWN)]) == 2
