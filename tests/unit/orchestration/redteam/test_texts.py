"""Texts at every hop where they can stand, through the whole gate."""

from typing import Any

import pytest

from catalog.load import Catalog, load_catalog
from domain.guard import Finding, Hop, Subject
from domain.settings import ROOT
from guardrails.gate import CedarGate
from guardrails.redteam.baseline import Baseline, regressions
from guardrails.redteam.corpus import Text
from guardrails.redteam.scenarios import PILOT, PILOTS
from orchestration.redteam.report import Report, as_markdown, text_rows
from orchestration.redteam.texts import BATCH_TEXTS, SourceFigures, judge_texts, places
from tasks.executors import EXECUTORS


class _Sees:
    """A filter that sees a word, at some hops."""

    version = "1"

    def __init__(self, guard_id: str, word: str, hops: frozenset[Hop] = frozenset(Hop)) -> None:
        self.id, self.word, self.hops = guard_id, word, hops

    def check(self, subject: Subject) -> Finding | None:
        if self.word not in subject.text:
            return None
        at = subject.text.index(self.word)
        spans = ((at, at + len(self.word)),)
        return Finding(guard_id=self.id, version="1", category="c", score=1.0, reason="r", spans=spans)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog(PILOTS, EXECUTORS)


def _gate(catalog: Catalog, *filters: Any) -> CedarGate:
    return CedarGate(PILOT, catalog.gate(PILOT).policies, {one.id: one for one in filters})


def _text(text: str, source: str = "s", attack: bool = True) -> Text:
    return Text(text=text, attack=attack, source=source)


async def _judge(catalog: Catalog, gate: CedarGate, *texts: Text) -> dict[str, SourceFigures]:
    found = await judge_texts(gate, catalog.task_type(PILOT), texts)
    return {one.source: one for one in found}


async def test_an_attack_counts_where_it_is_caught_at_every_hop(catalog: Catalog) -> None:
    partly = _Sees("injection", "bad", frozenset({Hop.INPUT, Hop.RESPONSE}))
    found = await _judge(catalog, _gate(catalog, partly), _text("bad"), _text("fine"))
    assert (found["s"].n, found["s"].caught) == (2, 0)
    assert found["s"].by_hop == {"input": 1, "retrieved": 0, "proposal": 0, "response": 1}
    found = await _judge(catalog, _gate(catalog, _Sees("injection", "bad")), _text("bad"), _text("fine"))
    assert (found["s"].caught, found["s"].stopped, found["s"].share.value) == (1, 0, 0.5)


async def test_a_harmless_text_counts_where_it_is_caught_at_any_hop(catalog: Catalog) -> None:
    partly = _Sees("injection", "bad", frozenset({Hop.RETRIEVED}))
    found = await _judge(catalog, _gate(catalog, partly), _text("not bad", attack=False))
    assert found["s"].caught == 1


async def test_what_is_stopped_and_what_is_redacted_is_told_apart(catalog: Catalog) -> None:
    gate = _gate(catalog, _Sees("form", "huge"), _Sees("pii", "name"))
    found = await _judge(catalog, gate, _text("huge", "stopped"), _text("a name", "redacted"))
    assert (found["stopped"].stopped, found["stopped"].caught) == (1, 1)
    assert (found["redacted"].redacted, found["redacted"].caught) == (1, 0)


async def test_one_source_of_both_kinds_has_a_row_for_each(catalog: Catalog) -> None:
    texts = [_text("bad"), _text("fine", attack=False)]
    found = await judge_texts(_gate(catalog), catalog.task_type(PILOT), texts)
    assert [(one.source, one.attack, one.n) for one in found] == [("s", True, 1), ("s", False, 1)]


async def test_many_texts_are_judged_in_batches(catalog: Catalog) -> None:
    texts = [_text("bad" if number % 2 else "x" * 5000) for number in range(BATCH_TEXTS * 2 + 3)]
    found = await _judge(catalog, _gate(catalog, _Sees("injection", "bad")), *texts)
    assert (found["s"].n, found["s"].caught) == (len(texts), len(texts) // 2)


def test_no_text_stands_at_the_input_of_a_type_without_free_text(catalog: Catalog) -> None:
    credit = load_catalog(ROOT / "pilots", EXECUTORS).task_type("credit_review")
    assert [place[0] for place in places(credit)] == [Hop.RETRIEVED, Hop.PROPOSAL, Hop.RESPONSE]
    assert places(catalog.task_type(PILOT))[0][0] is Hop.INPUT


async def test_the_report_tells_what_failed_and_keeps_markup_out(catalog: Catalog) -> None:
    texts = [_text("fine", "a|<b>_[x](http://y)")]
    sources = await judge_texts(_gate(catalog), catalog.task_type(PILOT), texts)
    limits = Baseline(floors={texts[0].source: 0.5})
    report = Report(
        id="r",
        task_type=PILOT,
        policy_hash="h",
        corpora=(),
        sources=sources,
        baseline="shipped",
        limits=limits,
        regressions=regressions(sources, limits),
    )
    assert not report.passed
    assert "recall 0.0%, 50.0 points under the limit of 50.0%" in report.failures[0]
    assert text_rows(report)[0][3] == "at least 50.0%"
    shown = as_markdown(report)
    assert "FAILED" in shown
    assert "<b>" not in shown
    assert "[x](" not in shown
