import importlib.util
import socket

import pytest

from domain.errors import CatalogError
from domain.guard import Hop, Subject
from domain.guards_spec import GuardsSpec
from guardrails.filters.presidio import build
from tests.unit.guardrails.filters.growth import growth

pytest.importorskip("presidio_analyzer", reason="needs the extra presidio")


@pytest.fixture(scope="module")
def presidio(make_task_type):
    guard = build(make_task_type(guards=GuardsSpec(pii="presidio")))
    guard.prepare()
    return guard


def _subject(text):
    return Subject(hop=Hop.PROPOSAL, text=text)


@pytest.mark.parametrize(
    ("text", "kind", "place"),
    [
        ("mail john@example.com now", "email_address", "john@example.com"),
        ("card 4111 1111 1111 1111", "credit_card", "4111 1111 1111 1111"),
        ("DE89 3704 0044 0532 0130 00", "iban_code", "DE89 3704 0044 0532 0130 00"),
        ("536-90-4399", "us_ssn", "536-90-4399"),
        ("from 8.8.8.8", "ip_address", "8.8.8.8"),
        ("call 415-555-2671", "phone_number", "415-555-2671"),
        ("x" * 980 + " john@example.com", "email_address", "john@example.com"),
    ],
)
def test_each_kind_is_seen_in_its_exact_place(presidio, text, kind, place):
    finding = presidio.check(_subject(text))
    assert finding is not None
    assert kind in finding.reason
    assert [text[start:end] for start, end in finding.spans] == [place]
    assert place not in finding.model_dump_json()


@pytest.mark.parametrize(
    "text", ["", "an amount of 1500 on 2024-01-15", "550e8400-e29b-41d4-a716-446655440000", "order 1234567890123"]
)
def test_ordinary_text_is_not(presidio, text):
    assert presidio.check(_subject(text)) is None


def test_it_asks_nobody_on_the_net(presidio, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a filter that reads text opens no connection")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    fresh = type(presidio)(presidio.hops)
    assert fresh.check(_subject("a@b.co.uk")) is not None


def test_it_stands_at_no_hop_unless_it_is_selected(make_task_type, presidio):
    assert build(make_task_type()).hops == frozenset()
    assert presidio.hops == frozenset(Hop)


def test_one_that_is_selected_and_not_installed_is_told_with_its_extra(make_task_type, monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr("guardrails.extras.find_spec", lambda name: None)
    assert build(make_task_type(tmp_path)).hops == frozenset()
    with pytest.raises(CatalogError, match=r"parley\[presidio\]") as caught:
        build(make_task_type(tmp_path, guards=GuardsSpec(pii="presidio")))
    assert (caught.value.file, caught.value.path) == (str(tmp_path / "task_type.yaml"), "guards.pii")


@pytest.mark.parametrize("part", ["a.", "1-", "a@a."])
def test_the_time_grows_in_step_with_the_text(presidio, part):
    assert growth(lambda text: presidio.check(_subject(text)), part) < 24
