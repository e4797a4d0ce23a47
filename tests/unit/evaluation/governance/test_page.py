"""The page: whole by itself, escaped, the summary on top."""

import io
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from evaluation.governance.page import SECTIONS, SHOWN, Page, as_markdown
from evaluation.governance.row import Row
from evaluation.governance.tally import Tally
from evaluation.governance.window import Window

AT = datetime(2026, 3, 4, tzinfo=UTC)
EVIL = "<img src=x onerror=alert(1)>\"'&{{7*7}}</td></table>\u202e\x1b[2J|`x`"
VOID = {"meta", "br", "rect"}


class Tags(HTMLParser):
    """The tags as a browser would open them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.names: set[str] = set()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.names |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def write(*rows: Row, until: datetime = AT + timedelta(days=1), anchor: Any = None) -> tuple[str, str]:
    file = io.StringIO()
    page, tally = Page(file), Tally(Window(until=until))
    for row in rows:
        tally.row(row)
        page.take(row)
    summary = tally.summary("r-1", AT, anchor)
    page.finish(summary)
    return file.getvalue(), as_markdown(summary, {"html": "0f"})


def row(**given: Any) -> Row:
    return Row(
        **{"kind": "verdict", "at": AT, "task": "t", "type": "loan", "what": "arguments", "chain": "holds", **given}
    )


def everything(text: str) -> list[Row]:
    """A row of each kind, with this text wherever text can stand."""
    texts = dict.fromkeys(("task", "type", "subtask", "what", "outcome", "by", "role", "reason", "ref", "key"), text)
    kinds = (
        "override", "denial", "guard_error", "approval_asked", "approval_answered", "approval_expired", "control",
        "approval_escalated", "compensation", "unknown_effect", "effect_settled", "erasure",
    )  # fmt: skip
    made = [row(**{**texts, "kind": kind, "policies": (text,), "policy_hash": text}) for kind in kinds]
    return [*made, row(**{**texts, "outcome": "deny", "policies": (text,)}), row(**{**texts, "outcome": "halt"})]


def test_hostile_text_is_text() -> None:
    anchor = {"at": EVIL, "key": EVIL, "root": EVIL}
    page, markdown = write(*everything(EVIL), anchor=anchor)
    tags = Tags(page)
    assert tags.open == []
    assert not {"img", "script", "iframe", "link"} & tags.seen
    assert not {name for name in tags.names if name.startswith("on")}
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") > 20
    assert "{{7*7}}" in page
    assert not re.search("[\u202e\x1b]", page)
    assert "<img" not in markdown
    assert "\\|\\`x\\`" in markdown


def test_it_loads_nothing() -> None:
    page, _ = write(*everything("plain"))
    assert not re.search(r"https?:|src=|url\(|@import|<link|<script", page)
    assert "default-src 'none'" in page


def test_the_summary_stands_on_top_and_overrides_one_by_one() -> None:
    told = [
        row(kind="override", decided="overridden", by=f"op{number}", reason=f"reason {number}", seq=number)
        for number in range(3)
    ]
    page, _ = write(*told, row(outcome="deny", policies=("FIN-002",)))
    assert page.index("1 Denials by policy") < page.index("3 One by one") < page.index('id="override"')
    assert [page.count(f"reason {number}") for number in range(3)] == [1, 1, 1]
    assert re.search(r"<b>3</b><span>overrides", page)
    assert "FIN-002" in page.split("2 Verdicts, people, ends")[0]
    assert [page.index(f'id="{name}"') for name in SECTIONS] == sorted(page.index(f'id="{name}"') for name in SECTIONS)


def test_of_a_long_list_the_newest_are_shown() -> None:
    many = [
        row(outcome="deny", policies=("P",), reason=f"case {number:04d}", at=AT + timedelta(seconds=number))
        for number in range(SHOWN + 5)
    ]
    page, _ = write(*reversed(many))
    assert "case 0204" in page
    assert "case 0005" in page
    assert "case 0004" not in page
    assert "and 5 older ones" in page


@pytest.mark.parametrize(("days", "size", "columns"), [(8, "day", 8), (60, "week", 9), (500, "month", 0)])
def test_many_periods_are_drawn(days: int, size: str, columns: int) -> None:
    denials = [row(outcome="deny", policies=("P",), at=AT + timedelta(days=day)) for day in range(days)]
    page, markdown = write(*denials, until=AT + timedelta(days=days))
    assert f"1 Denials by policy and {size}" in page
    assert page.count('<th class="n" title=') == columns
    assert page.count("<rect") >= min(days, 9)
    assert f"| Policy | {size} | Denials |" in markdown


def test_a_row_that_does_not_verify_is_marked_and_listed() -> None:
    page, _ = write(row(outcome="deny", chain="broken here", seq=4, hash="ab" * 32, key="guard:s:first"))
    assert page.count('<span class="badge bad">chain: broken here</span>') == 2
    assert "entry 4" in page
    fine, _ = write(row(outcome="deny"))
    assert "chain: " not in fine


def test_copies_of_a_fork_are_not_listed_again() -> None:
    page, _ = write(row(outcome="deny", copied=True, reason="told before"))
    assert "told before" not in page


def test_nothing_is_said_plainly() -> None:
    page, markdown = write()
    assert Tags(page).open == []
    for words in ("Nothing was denied.", "Nothing was overridden.", "No verdict in this time.", "no anchor"):
        assert words in page
    assert "Nothing was denied." in markdown
