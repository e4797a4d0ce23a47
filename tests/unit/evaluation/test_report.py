import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.task_type import TaskType
from evaluation.drift import DriftResult, DriftTest
from evaluation.metrics import PilotMetrics
from evaluation.period import Period
from evaluation.quality import Failure, Quality
from evaluation.rates import rate
from evaluation.report import Rendered, Subject, render

AT = datetime(2026, 3, 1, tzinfo=UTC)
SOUND = Quality(trusted=True, checked=18, failures=())
DRIFT = DriftResult(
    html_path="/elsewhere/evidently.html",
    json_path="/elsewhere/evidently.json",
    passed=3,
    failed=1,
    tests=(DriftTest(name="drift of <b>", status="FAIL", description="moved by 0.3"),),
    compared=True,
    left_out=(),
)


def write(folder: Path, metrics: PilotMetrics, reference: PilotMetrics | None, quality: Quality = SOUND) -> Rendered:
    kind = TaskType.model_validate(
        {
            "name": "refund",
            "version": 4,
            "description": "Refunds <small>",
            "payload_schema": {},
            "answer": "pay",
            "sla": {"deadline": "PT1M"},
            "plan": {
                "subtasks": [
                    {
                        "id": "pay", "question": "?", "panel": ["a"], "actions": [{"name": "pay"}],
                        "context": {"working": []}, "strategy": {"name": "plurality"}, "executor": "x",
                    }
                ]
            },
        }
    )  # fmt: skip
    period = Period(task_type="refund", since=AT, until=AT, batch_ids=("one",))
    subject = Subject(report_id="r1", task_type=kind, period=period, reference_period=period, made_at=AT)
    return render(metrics, reference, quality, DRIFT, subject=subject, folder=folder)


def test_nothing_from_the_data_becomes_markup(tmp_path: Path, metrics: PilotMetrics) -> None:
    rendered = write(tmp_path, metrics, None)
    page = Path(rendered.html_path).read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "<small>" not in page
    assert "<script" not in rendered.markdown
    assert "t\\|1" in rendered.markdown


def test_the_page_needs_nothing_from_outside(tmp_path: Path, metrics: PilotMetrics) -> None:
    page = Path(write(tmp_path, metrics, metrics).html_path).read_text()
    assert not re.search(r"(src|@import|url\()", page)
    assert re.findall(r'href="([^"]+)"', page) == ["file:///elsewhere/evidently.html"]


def test_distrust_is_said_first_and_names_the_rows(tmp_path: Path, metrics: PilotMetrics) -> None:
    failures = (
        Failure(rule="ended_has_time", says="A task that ended says when.", count=2, rows=("t7", "t8")),
        Failure(rule="other", says="Other.", count=None, rows=(), error="no such column"),
    )
    rendered = write(tmp_path, metrics, None, Quality(trusted=False, checked=18, failures=failures))
    for words in (Path(rendered.html_path).read_text(), rendered.markdown):
        assert words.index("Not to be trusted") < words.index("1 Verdicts")
        for expected in ("t7", "t8", "no such column"):
            assert expected in words


@pytest.mark.parametrize("known", [True, False])
def test_every_section_is_there_even_without_data(tmp_path: Path, metrics: PilotMetrics, known: bool) -> None:
    if not known:
        nothing = rate(0, 0)
        metrics = metrics.model_copy(
            update={
                "outcomes_known": 0, "success_all": nothing, "success_decided": nothing, "worst": (), "segments": (),
                "verdicts": {}, "calibration": (), "brier": None, "calibration_error": None,
                "latency_p50_s": None, "latency_p95_s": None, "rounds": {}, "baselines": {}, "pairings": {},
            }
        )  # fmt: skip
    rendered = write(tmp_path, metrics, None)
    page = Path(rendered.html_path).read_text()
    assert re.findall(r"<h2>(\d+) ", page) == [str(number) for number in range(1, 11)]
    assert re.findall(r"^## (\d+) ", rendered.markdown, re.MULTILINE) == [str(number) for number in range(1, 11)]
    # Reference and strategy comparison and cost are never there; the other five depend on the data.
    assert page.count("ot available") == (3 if known else 8)
