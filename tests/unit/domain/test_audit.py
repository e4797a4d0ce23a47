"""The chain's arithmetic: links, digests that survive Postgres, erasures, and the Merkle tree."""

import json
from datetime import UTC, datetime, timedelta, timezone

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.audit import (
    GENESIS,
    STATED,
    Entry,
    erased_json,
    erased_text,
    hash_of,
    is_erased,
    kept_hash,
    link,
    row_digest,
    text_hash,
)
from domain.audit_check import check
from domain.audit_found import Found
from domain.canonical import canonical_json
from domain.merkle import Head, proof, proven, root

AT = datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)


def entry(**given):
    made = {
        "task_id": "t",
        "seq": 1,
        "at": AT,
        "event": "intake.accepted",
        "key": "intake",
        "actor": "w",
        "fence": 1,
        "body_hash": bytes.fromhex(text_hash("{}")),
        "previous": GENESIS,
        "hash": b"",
        "body": None,
    } | given
    unsealed = Entry(**made)
    return unsealed._replace(hash=link(unsealed))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("task_id", "u"),
        ("seq", 2),
        ("at", AT + timedelta(microseconds=1)),
        ("event", "intake.denied"),
        ("key", "other"),
        ("actor", "eve"),
        ("fence", 2),
        ("body_hash", bytes(32)),
        ("previous", bytes([1]) * 32),
        ("body", {}),
    ],
)
def test_every_field_is_in_the_hash(name, value):
    assert entry(**{name: value}).hash != entry().hash


def test_a_letter_that_moves_to_the_next_field_is_seen():
    assert entry(event="ab", key="c").hash != entry(event="a", key="bc").hash
    assert entry(key="ab", actor="").hash != entry(key="a", actor="b").hash


def test_a_time_is_the_same_in_every_zone():
    assert entry(at=AT.astimezone(timezone(timedelta(hours=5)))).hash == entry().hash


def test_python_and_postgres_make_the_same_link(dsn):
    entries = [
        {"event": "é", "key": "k:1", "body_hash": text_hash('{"a":1}'), "body": None},
        {"event": "e", "key": "k", "body_hash": text_hash("{}"), "body": canonical_json({"rows": {"ü": {"b": "1"}}})},
    ]
    with psycopg.connect(dsn) as connection:
        call = "SELECT parley_audit_append('tä', 7, 'wörker', %s::jsonb, null)"
        assert connection.execute(call, (json.dumps(entries),)).fetchone() == (2,)
        rows = connection.execute(f"SELECT {', '.join(Entry._fields)} FROM audit_log WHERE task_id = 'tä' ORDER BY seq")
        chain = [Entry(*row) for row in rows]
        connection.rollback()
    assert [one.seq for one in chain] == [1, 2]
    assert [link(one) for one in chain] == [one.hash for one in chain]
    assert [one.previous for one in chain] == [GENESIS, chain[0].hash]


def test_only_what_was_written_is_appended(dsn):
    entries = [{"event": "e", "key": key, "body_hash": "00", "body": None} for key in "abc"]
    with psycopg.connect(dsn) as connection:
        call = "SELECT parley_audit_append('w', 7, 'w', %s::jsonb, %s)"
        assert connection.execute(call, (json.dumps(entries), ["c", "a"])).fetchone() == (2,)
        assert connection.execute(call, (json.dumps(entries), [])).fetchone() == (None,)
        keys = connection.execute("SELECT key FROM audit_log WHERE task_id = 'w' ORDER BY seq").fetchall()
        connection.rollback()
    assert keys == [("a",), ("c",)]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(value=st.lists(JSON, min_size=20, max_size=20))
def test_a_digest_survives_postgres(dsn, value):
    with psycopg.connect(dsn) as connection:
        stored = connection.execute("SELECT %s::jsonb", (canonical_json(value),)).fetchone()
    assert hash_of(stored[0]) == text_hash(canonical_json(value))


def test_a_mark_keeps_the_hash_of_what_stood_there():
    body = {"name": "Ann", "sum": 1.5}
    assert kept_hash(erased_json(body)) == kept_hash(erased_json(body, {"sum": 1.5})) == hash_of(body)
    assert kept_hash(erased_text("Ann")) == hash_of("Ann")
    marks = [is_erased(one) for one in (body, erased_json(body), "Ann", erased_text("Ann"))]
    assert marks == [False, True, False, True]
    assert [kept_hash(one) for one in (body, {"erased": True}, {"erased": "x"}, "erased:x", "Ann", 7)] == [None] * 6
    # By itself a mark is a value like any other.
    assert hash_of(erased_json(body)) != hash_of(body)


def found(*chain, **given):
    made = {"task_id": "t", "chain": chain, "head": Head("t", chain[-1].seq, chain[-1].hash), "rows": {}, "task": None}
    events = {
        one.key: {"event": one.event, "fence": one.fence, "subtask_id": None, "data": {}} for one in chain if one.key
    }
    return Found(**(made | {"events": events} | given))


TASK = {"task_type": "x", "payload": {}, "status": "running", "answer": None}


def kinds(*chain, **given):
    return [one.kind for one in check(found(*chain, **({"task": TASK} | given))).problems]


def test_a_chain_is_walked():
    first = entry(event="a", key="a")
    second = entry(seq=2, event="b", key="b", previous=first.hash)
    third = entry(seq=3, event="c", key="c", previous=second.hash)
    assert kinds(first, second, third) == []
    assert kinds(first, third) == ["missing"]
    assert kinds(second, third) == ["missing"]
    assert kinds(first, second, third._replace(actor="eve")) == ["edited"]
    # Sealed again by somebody who knows how: what comes behind it no longer follows.
    assert kinds(first, entry(seq=2, event="b", key="b", actor="eve", previous=first.hash), third) == ["reordered"]
    assert kinds(first, second, head=Head("t", 3, third.hash)) == ["head"]
    assert kinds(first, second, head=None) == ["head"]
    assert check(found(first, second, task=TASK), Head("t", 3, third.hash)).problems[0].kind == "cut"
    assert check(found(first, second, task=TASK), Head("t", 2, third.hash)).problems[0].kind == "edited"
    assert kinds(first, second, task=None) == ["missing"]


def test_a_row_is_stated_by_its_last_entry():
    how = STATED["outcomes"]
    row = {"label": "good", "right_action": "approve", "recorded_by": "ann"}
    stated = [row_digest(how, one, []) for one in (row, row | {"label": "bad"})]
    first = entry(event="a", key="a", body={"rows": {"outcomes": {"": stated[0]}}})
    second = entry(seq=2, event="b", key="b", previous=first.hash, body={"rows": {"outcomes": {"": stated[1]}}})
    assert kinds(first, second, rows={"outcomes": [row | {"label": "bad"}]}) == []
    assert kinds(first, second, rows={"outcomes": [row]}) == ["edited"]
    assert kinds(first, second) == ["missing"]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13])
def test_every_head_is_proven(count):
    heads = [Head(f"t{number:02}", number + 1, bytes([number]) * 32) for number in range(count)]
    for place, head in enumerate(heads):
        steps = proof(heads, place)
        assert proven(head, steps) == root(heads)
        assert proven(head._replace(seq=99), steps) != root(heads)
        assert root([one for one in heads if one is not head]) != root(heads)


def test_a_root_over_nothing_is_none_of_something():
    assert root([]) != root([Head("", 0, b"")])
