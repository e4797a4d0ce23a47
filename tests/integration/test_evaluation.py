"""Evaluation on a real Postgres: known rows in, known figures out."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, delete, insert, select, text, update

from domain.errors import InputError
from domain.task_type import TaskType
from evaluation.choosing import Request, choose
from evaluation.drift import evidently_report
from evaluation.metrics import PilotMetrics, compute, fingerprint
from evaluation.period import Period
from evaluation.quality import check
from evaluation.report import Subject, render
from evaluation.sample import read_sample
from evaluation.store import first_created, save_metrics, save_report
from storage import evaluation_tables, tables
from storage.engine import sync_engine
from storage.schema import metadata

START = datetime(2026, 3, 1, tzinfo=UTC)
KIND = TaskType.model_validate(
    {
        "name": "credit_review",
        "version": 1,
        "payload_schema": {
            "type": "object",
            "properties": {
                "income": {"type": "number"},
                "region": {"type": ["string", "null"]},
                "age": {"type": "integer"},
            },
        },
        "outcome_map": {"good": "approve", "bad": "decline"},
        "answer": "affordability",
        "sla": {"deadline": "PT1M"},
        "plan": {
            "subtasks": [
                {
                    "id": "affordability",
                    "question": "?",
                    "panel": ["risk", "advocate"],
                    "actions": [{"name": "approve", "counter_arguments": ["limit"]}, {"name": "decline"}],
                    "context": {"working": ["income", "region", "age"], "hide": ["age"]},
                    "strategy": {"name": "plurality"},
                    "executor": "record_decision",
                }
            ]
        },
    }
)


@pytest.fixture(scope="module")
def engine(dsn: str) -> Iterator[Engine]:
    engine = sync_engine(dsn)
    yield engine
    engine.dispose()


@pytest.fixture
def clean(engine: Engine) -> Engine:
    with engine.begin() as connection:
        names = ", ".join(f'"{table.name}"' for table in metadata.sorted_tables if not table.name.startswith("audit_"))
        # Only the tables' owner may.
        connection.execute(text("SET LOCAL ROLE NONE"))
        connection.execute(text(f"TRUNCATE {names} CASCADE"))
    return engine


def period(since: datetime = START, hours: float = 24, batch_ids: tuple[str, ...] | None = None) -> Period:
    return Period(task_type=KIND.name, since=since, until=since + timedelta(hours=hours), batch_ids=batch_ids)


def add_task(connection: Connection, name: str, **given: Any) -> str:
    """A task that was done after ten seconds; `given` changes its columns, `outcome`, `votes` and so on."""
    created = given.pop("created_at", START + timedelta(minutes=1))
    outcome, answer = given.pop("outcome", None), given.pop("answer", "approve")
    votes, counter = given.pop("votes", {}), given.pop("counter", None)
    row: dict[str, Any] = {
        "id": name,
        "task_type": KIND.name,
        "type_version": 1,
        "payload": {"income": 1000 + len(name), "region": "north", "age": 40},
        "request_hash": "h",
        "principal": "ann",
        "lane": "direct",
        "status": "done",
        "seed": 1,
        "memory_as_of": created,
        "created_at": created,
        "ended_at": created + timedelta(seconds=10),
        "deadline_at": created + timedelta(minutes=1),
        "answer": answer,
    }
    row |= given
    connection.execute(insert(tables.tasks).values(row))
    if outcome:
        connection.execute(
            insert(tables.outcomes).values(task_id=name, label=outcome, right_action=outcome, recorded_by="bob")
        )
    for place, (persona, (option, confidence)) in enumerate(votes.items()):
        body = {"counter": counter} if counter and place == 0 else {"counter": None}
        add_vote(connection, name, persona, option, confidence, body=body)
    if row["status"] == "done":
        _add_records(connection, name, answer)
    return name


def add_vote(
    connection: Connection, task: str, persona: str, option: str | None, confidence: float, **given: Any
) -> None:
    values = {
        "task_id": task, "subtask_id": "affordability", "round": 0, "persona": persona, "key": f"{task}{persona}",
        "option": option, "confidence": confidence, "struck": None, "body": {},
    }  # fmt: skip
    connection.execute(insert(tables.proposals).values(values | given))


def _add_records(connection: Connection, name: str, answer: str) -> None:
    step = {"task_id": name, "subtask_id": "affordability"}
    connection.execute(insert(tables.subtasks).values(step | {"status": "done", "action": answer}))
    connection.execute(
        insert(tables.decisions).values(
            step
            | {"kind": "decided", "option": answer, "action": answer, "strategy": "plurality", "margin": 0.5}
            | {"rounds": 1, "body": {}}
        )
    )
    connection.execute(
        insert(tables.actions).values(
            step | {"idempotency_key": name, "executor": "record_decision", "request": {}, "status": "done", "fence": 1}
        )
    )
    connection.execute(insert(tables.records).values(idempotency_key=name, task_id=name, action=answer, arguments={}))


def measure(engine: Engine, over: Period | None = None) -> PilotMetrics:
    with engine.begin() as connection:
        return compute(connection, KIND, over or period())


def test_success_is_counted_over_all_and_over_the_decided(clean: Engine) -> None:
    with clean.begin() as connection:
        add_task(connection, "right", outcome="approve")
        add_task(connection, "right too", answer="decline", outcome="decline")
        add_task(connection, "wrong", outcome="decline")
        add_task(connection, "a person was right", outcome="approve", escalated=True)
        add_task(connection, "denied", status="denied", answer=None, outcome="approve")
        add_task(connection, "unknown")
        add_task(connection, "only tried", outcome="approve", dry_run=True)
    metrics = measure(clean)
    assert (metrics.total, metrics.ended, metrics.outcomes_known, metrics.successes) == (6, 6, 5, 2)
    assert (metrics.success_all.hits, metrics.success_all.n) == (2, 5)
    assert (metrics.success_decided.hits, metrics.success_decided.n) == (2, 3)
    assert (metrics.coverage.hits, metrics.coverage.n, metrics.decided_alone) == (4, 6, 4)
    assert (metrics.escalation.hits, metrics.escalated) == (1, 1)
    assert metrics.statuses == {"denied": 1, "done": 5}
    assert [case.task_id for case in metrics.worst] == ["wrong"]
    by_strategy = {segment.strategy: segment for segment in metrics.segments}
    assert by_strategy["plurality"].success.hits == 2
    assert by_strategy["(not negotiated)"].total == 1


def test_debate_is_worth_what_it_put_right_less_what_it_put_wrong(clean: Engine) -> None:
    led = {
        "put right": [None, "approve"],
        "put right by a counter-proposal": ["decline", "approve up to 100"],
        "put wrong": ["approve", "decline", "decline"],
        "put right late": ["decline", "decline", "approve"],
        "stayed": ["approve", "approve"],
        "not debated": ["decline"],
    }
    with clean.begin() as connection:
        for name, leaders in led.items():
            add_task(connection, name, outcome="approve")
            options = [{"name": one, "action": one} for one in ("approve", "decline")]
            options.append({"name": "approve up to 100", "action": "approve"})
            rounds = [{"round": number, "leader": leader} for number, leader in enumerate(leaders)]
            body = {"explanation": {"options": options, "rounds": rounds}}
            connection.execute(update(tables.decisions).values(body=body).where(tables.decisions.c.task_id == name))
    found = measure(clean).debate
    assert {round: (pair.wins, pair.losses, pair.n) for round, pair in found.items()} == {1: (2, 1, 5), 2: (1, 0, 2)}


def test_baselines_stand_on_the_same_rows(clean: Engine) -> None:
    votes = {"risk": ("decline", 0.8), "advocate": ("approve", 0.6)}
    with clean.begin() as connection:
        add_task(connection, "a", answer="decline", outcome="decline", votes=votes)
        add_task(connection, "b", answer="decline", outcome="decline", votes=votes)
        add_task(connection, "c", answer="decline", outcome="approve", votes=votes)
        add_task(connection, "d", answer="approve", outcome="approve", votes={"risk": (None, 0.0)})
        add_task(connection, "no outcome", votes=votes)
    metrics = measure(clean)
    assert {name: (rate.hits, rate.n) for name, rate in metrics.baselines.items()} == {
        "always:approve": (2, 4),
        "always:decline": (2, 4),
        "best_persona:risk": (2, 4),
    }
    assert metrics.personas["advocate"].hits == 1
    against = metrics.pairings["always:decline"]
    assert (against.wins, against.losses) == (1, 0)
    persona = metrics.pairings["best_persona:risk"]
    assert (persona.wins, persona.losses) == (1, 0)
    assert (metrics.pairings["always:approve"].wins, metrics.pairings["always:approve"].losses) == (2, 1)


def test_a_counter_proposal_counts_as_its_action(clean: Engine) -> None:
    counter = {"name": "approve limit 5", "action": "approve", "arguments": {"limit": 5}}
    votes = {"risk": ("approve limit 5", 0.5)}
    with clean.begin() as connection:
        add_task(connection, "a", outcome="approve", votes=votes, counter=counter)
    metrics = measure(clean)
    assert metrics.baselines["best_persona:risk"].hits == 1
    assert metrics.brier == pytest.approx(0.25)


def test_calibration_reads_each_personas_last_vote_that_counted(clean: Engine) -> None:
    with clean.begin() as connection:
        add_task(connection, "a", outcome="approve", votes={"risk": ("decline", 1.0)})
        add_vote(connection, "a", "risk", "approve", 0.9, round=1)
        add_vote(connection, "a", "late", "decline", 0.9, struck="came late")
        add_task(connection, "b", outcome="decline", votes={"risk": ("approve", 0.9)})
        connection.execute(
            insert(tables.telemetry).values(
                task_id="a", subtask_id="affordability", round=0, persona="risk", latency_ms=1.0,
                prompt_tokens=70, completion_tokens=30, model=None, fallback=False,
            )
        )  # fmt: skip
    metrics = measure(clean)
    assert metrics.brier == pytest.approx((0.1**2 + 0.9**2) / 2)
    assert metrics.calibration_error == pytest.approx(0.4)
    assert [bin.n for bin in metrics.calibration] == [2]
    assert (metrics.tokens, metrics.tokens_per_success) == (100, 100)


def test_parked_time_moves_the_deadline_and_leaves_the_latency(clean: Engine) -> None:
    now = datetime.now(UTC)
    with clean.begin() as connection:
        add_task(
            connection, "asked", escalated=True, ended_at=START + timedelta(minutes=1, seconds=330), parked_seconds=300
        )
        add_task(connection, "late", ended_at=START + timedelta(minutes=3))
        add_task(connection, "overdue", status="running", ended_at=None, answer=None)
        add_task(
            connection, "waits", status="parked", ended_at=None, answer=None, escalated=True,
            created_at=START, deadline_at=now, parked_at=now - timedelta(hours=1),
        )  # fmt: skip
    metrics = measure(clean)
    assert (metrics.sla.hits, metrics.sla.n) == (1, 3)
    assert metrics.latency_p50_s == pytest.approx((30 + 120) / 2)
    assert metrics.parked == 1
    assert metrics.parked_oldest_seconds == pytest.approx(3600, abs=60)


def test_verdicts_are_counted_by_policy_and_effect(clean: Engine) -> None:
    with clean.begin() as connection:
        add_task(connection, "a")
        for key, effect, policies in (("1", "allow", ["base"]), ("2", "deny", ["limit", "age"]), ("3", "deny", [])):
            connection.execute(
                insert(tables.verdicts).values(
                    task_id="a", key=key, hop="input", effect=effect, policy_ids=policies, policy_hash="h", body={}
                )
            )
    assert measure(clean).verdicts == {
        "(no policy matched)": {"deny": 1},
        "age": {"deny": 1},
        "base": {"allow": 1},
        "limit": {"deny": 1},
    }


def test_only_the_periods_tasks_of_the_batches_count(clean: Engine) -> None:
    with clean.begin() as connection:
        add_task(connection, "before", created_at=START - timedelta(seconds=1), batch_id="one")
        add_task(connection, "first", created_at=START, batch_id="one")
        add_task(connection, "other", batch_id="two")
        add_task(connection, "after", created_at=START + timedelta(hours=24), batch_id="one")
        add_task(connection, "another type", task_type="refund")
    assert measure(clean).total == 2
    assert measure(clean, period(batch_ids=("one",))).total == 1
    assert measure(clean, period(batch_ids=())).total == 0


def test_an_empty_period_has_no_values(clean: Engine) -> None:
    metrics = measure(clean)
    assert metrics.total == 0
    assert metrics.success_all.value is None
    assert metrics.latency_p95_s is None
    assert metrics.best_baseline() is None


def test_metrics_are_upserted(clean: Engine) -> None:
    with clean.begin() as connection:
        add_task(connection, "a", outcome="approve")
    for answer in ("approve", "decline"):
        with clean.begin() as connection:
            connection.execute(update(tables.tasks).values(answer=answer))
            save_metrics(connection, period(), compute(connection, KIND, period()))
    with clean.connect() as connection:
        query = select(evaluation_tables.metrics).where(
            evaluation_tables.metrics.c.metric == "success_all", evaluation_tables.metrics.c.segment == "credit_review"
        )
        rows = connection.execute(query).all()
    assert [(row.value, row.n) for row in rows] == [(0.0, 1)]


def test_the_fingerprint_follows_every_row_and_ages_with_open_tasks(clean: Engine) -> None:
    def now() -> str:
        with clean.begin() as connection:
            return fingerprint(connection, KIND, period())

    with clean.begin() as connection:
        add_task(connection, "a", votes={"risk": ("approve", 0.5)})
    seen = [now()]
    assert now() == seen[0]
    changes = (
        insert(tables.outcomes).values(task_id="a", label="x", right_action="approve", recorded_by="bob"),
        update(tables.proposals).values(confidence=0.6),
        update(tables.decisions).values(margin=0.1),
        delete(tables.records),
        delete(tables.actions),
        update(tables.tasks).values(payload={"income": 1}),
    )
    for change in changes:
        with clean.begin() as connection:
            connection.execute(change)
        seen.append(now())
    assert len(set(seen)) == len(seen)
    with clean.begin() as connection:
        connection.execute(update(tables.tasks).values(status="running", ended_at=None))
    assert now() != now()


def test_quality_names_the_rows_that_break_a_rule(clean: Engine) -> None:
    with clean.begin() as connection:
        add_task(connection, "fine", votes={"risk": ("approve", 0.5)})
        add_task(connection, "no end", ended_at=None)
        add_task(connection, "wild", votes={"risk": ("approve", 1.5)})
        add_vote(connection, "wild", "struck", "approve", 7.0, struck="confidence")
        add_task(connection, "bare")
        connection.execute(text("DELETE FROM decisions WHERE task_id = 'bare'"))
        connection.execute(text("DELETE FROM records WHERE task_id = 'bare'"))
        connection.execute(text("DELETE FROM actions WHERE task_id = 'bare'"))
        connection.execute(text("UPDATE records SET idempotency_key = 'twice' WHERE task_id = 'wild'"))
        add_task(connection, "odd", status="sleeping", ended_at=None)
    quality = check(str(clean.url.render_as_string(hide_password=False)), KIND.name, period())
    assert not quality.trusted
    assert {failure.rule: failure.rows for failure in quality.failures} == {
        "known_status": ("sleeping",),
        "ended_has_time": ("no end",),
        "confidence_in_range": ("wild",),
        "done_has_decision": ("bare",),
        "done_has_action": ("bare",),
        "done_subtask_acted": ("bare",),
        "effect_in_ledger": ("wild",),
    }
    assert {failure.count for failure in quality.failures} == {1}


def test_quality_trusts_sound_rows_and_hostile_names(clean: Engine) -> None:
    batch = "b'); DROP TABLE tasks; -- {batch} :x %s"
    with clean.begin() as connection:
        add_task(connection, "fine", batch_id=batch)
    quality = check(str(clean.url.render_as_string(hide_password=False)), KIND.name, period(batch_ids=(batch,)))
    assert quality.failures == ()
    assert quality.trusted
    assert quality.checked > 10


def test_what_was_only_tried_is_not_looked_at(clean: Engine) -> None:
    with clean.begin() as connection:
        add_task(connection, "real", outcome="approve")
        add_task(connection, "tried", outcome="decline", dry_run=True, forked_from="real", ended_at=None)
        first = first_created(connection, KIND.name)
        add_task(connection, "first", dry_run=True, forked_from="real", created_at=START)
        assert first_created(connection, KIND.name) == first
        assert list(read_sample(connection, KIND, period())["answer"]) == ["approve"]
    assert (measure(clean).total, measure(clean).outcomes_known) == (1, 1)
    assert check(str(clean.url.render_as_string(hide_password=False)), KIND.name, period()).trusted


def test_what_a_fork_took_over_is_its_sources_deed(clean: Engine) -> None:
    with clean.begin() as connection:
        add_task(connection, "fork", forked_from="source")
        before = {"task_id": "fork", "subtask_id": "earlier", "status": "done", "ended_at": START}
        connection.execute(insert(tables.subtasks).values(before))
        add_task(connection, "idle", forked_from="source")
        meanwhile = {**before, "task_id": "idle", "ended_at": START + timedelta(minutes=2)}
        connection.execute(insert(tables.subtasks).values(meanwhile))
    quality = check(str(clean.url.render_as_string(hide_password=False)), KIND.name, period())
    assert {failure.rule: failure.rows for failure in quality.failures} == {"done_subtask_acted": ("idle",)}


def test_the_default_period_starts_where_the_last_report_ended(clean: Engine) -> None:
    now = START + timedelta(days=9)
    request = Request(task_type=KIND.name)

    def chosen(asked: Request) -> Any:
        with clean.begin() as connection:
            return choose(connection, asked, now)

    with clean.begin() as connection:
        add_task(connection, "a", batch_id="one")
    first = chosen(request)
    assert (first.current.since, first.current.until) == (START + timedelta(minutes=1), now)
    with clean.begin() as connection:
        for report_id, over, batches in (("r", period(), None), ("s", period(hours=48), ["one"])):
            save_report(
                connection, report_id, over, trusted=True, summary={"batch_ids": batches}, html_path="", json_path=""
            )
    later = chosen(request)
    assert later.current.since == START + timedelta(hours=24)
    assert later.reference == period()
    batch = chosen(Request(task_type=KIND.name, batch_ids=("one",)))
    assert batch.current.since == START + timedelta(minutes=1)
    assert batch.reference is None
    asked = chosen(Request(task_type=KIND.name, since="2026-03-05T00:00:00Z", until="2026-03-06T00:00:00+00:00"))
    assert asked.reference == period(datetime(2026, 3, 4, tzinfo=UTC))


@pytest.mark.parametrize("since", ["yesterday", "2026-03-01", "2027-01-01T00:00:00Z"])
def test_a_period_that_cannot_be_is_refused(clean: Engine, since: str) -> None:
    with clean.begin() as connection, pytest.raises(InputError):
        choose(connection, Request(task_type=KIND.name, since=since), START + timedelta(days=9))


def test_a_shifted_input_shows_as_drift_and_in_the_report(clean: Engine, tmp_path: Path) -> None:
    with clean.begin() as connection:
        for index in range(40):
            add_task(connection, f"old {index}", payload={"income": 100 + index % 7, "region": "north", "age": 30})
            add_task(
                connection, f"new {index}", created_at=START + timedelta(days=1), outcome="approve",
                payload={"income": 900 + index % 7, "region": "north", "age": 70},
                votes={"risk": ("approve", 0.7)},
            )  # fmt: skip
    now = period(START + timedelta(days=1))
    with clean.begin() as connection:
        frames = [read_sample(connection, KIND, over) for over in (now, period())]
    assert "input.age" not in frames[0].columns
    drift = evidently_report(frames[0], frames[1], tmp_path)
    assert drift.compared
    broken = {test.name for test in drift.tests if test.status != "SUCCESS"}
    assert any("input.income" in name for name in broken)
    assert not any("input.region" in name for name in broken)
    assert Path(drift.html_path).stat().st_size > 100_000
    assert json.loads(Path(drift.json_path).read_text())["metrics"]

    url = str(clean.url.render_as_string(hide_password=False))
    subject = Subject(report_id="r", task_type=KIND, period=now, reference_period=period(), made_at=START)
    rendered = render(
        measure(clean, now), measure(clean), check(url, KIND.name, now), drift, subject=subject, folder=tmp_path
    )
    page = Path(rendered.html_path).read_text()
    for heading in range(1, 11):
        assert f"<h2>{heading} " in page
        assert f"\n## {heading} " in rendered.markdown
    assert "100.0 % [91.2, 100.0] (n = 40)" in page
    assert 'href="evidently.html"' in page
