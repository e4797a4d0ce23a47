"""Reading labelled texts, and what the shipped ones and the scenarios are like."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from catalog.load import load_catalog
from catalog.payloads import check_payload
from domain.errors import CaseFileError
from guardrails.examples import check_examples, read_examples
from guardrails.redteam.corpus import Text, read_corpus, shipped_files
from guardrails.redteam.scenarios import PILOT, PILOTS, harmless, injected, runs_of_words
from guardrails.training.own_texts import own_texts
from tasks.executors import EXECUTORS


def test_texts_are_read_in_order_whatever_the_columns(tmp_path: Path) -> None:
    file = tmp_path / "some.csv"
    file.write_text('source,label,more,text\na,1,x,"two\nlines"\n\nb,0,y,fine\n', encoding="utf-8-sig")
    assert read_corpus([file]) == (
        Text(text="two\nlines", attack=True, source="a"),
        Text(text="fine", attack=False, source="b"),
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("text,label\na,1\n", "no column 'source'"),
        ("", "no column 'text'"),
        ("text,label,source\na,yes,s\n", "row 2: label 'yes': 1 for an attack"),
        ("text,label,source\na,1\n", "row 2: 2 cells"),
        ("text,label,source\na,1, \n", "row 2: no source"),
        ('text,label,source\n"a,1,s\n', "no usable CSV"),
        ("text,label,source\n", "no texts"),
    ],
)
def test_a_broken_file_is_told_with_its_place(tmp_path: Path, content: str, problem: str) -> None:
    file = tmp_path / "broken.csv"
    file.write_text(content)
    with pytest.raises(CaseFileError, match=problem):
        read_corpus([file])


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bytes.csv"
    file.write_bytes(b"text,label,source\n\xff\xfe,1,s\n")
    with pytest.raises(CaseFileError, match="not UTF-8 at byte 18"):
        read_corpus([file])
    with pytest.raises(CaseFileError, match="cannot be read"):
        read_corpus([tmp_path / "none.csv"])


def test_the_shipped_corpus_has_attacks_and_harmless_texts_of_many_kinds() -> None:
    texts = read_corpus(shipped_files())
    kinds = Counter((text.attack, text.source) for text in texts)
    assert len(texts) == len({text.text for text in texts}) >= 300
    assert sum(attack for attack, _ in kinds) >= 10
    assert sum(not attack for attack, _ in kinds) >= 7
    assert min(kinds.values()) >= 18
    assert not {source for attack, source in kinds if attack} & {source for attack, source in kinds if not attack}


def test_no_red_team_text_is_one_that_the_filter_was_trained_on() -> None:
    """Nor do they share eight words in a row. The templates are expanded as for training, and more often."""
    trained = own_texts(25, 7)
    assert len(trained) > 5000
    known = {run for text in trained for run in runs_of_words(text.text, 8)}
    ours = [text.text for text in read_corpus(shipped_files())] + [one.text for one in (*injected(), *harmless())]
    assert [text for text in ours if known & runs_of_words(text, 8)] == []


def test_a_hundred_scenarios_in_four_places_each_with_a_harmless_twin() -> None:
    attacks, others = injected(), harmless()
    assert Counter(one.channel for one in attacks) == {
        "payload": 25, "fact": 13, "episode": 12, "evidence": 25, "response": 25,
    }  # fmt: skip
    assert [one.name for one in attacks] == [one.name for one in others]
    assert all(one.command is not None for one in attacks)
    assert all(one.command is None for one in others)
    assert len({one.payload["order"] for one in (*attacks, *others)}) == 200
    assert max(Counter(one.style for one in attacks).values()) <= 20


def test_no_harmless_text_holds_four_words_of_an_instruction() -> None:
    commands = {run for one in injected() for run in runs_of_words(one.text)}
    for one in harmless():
        assert not commands & runs_of_words(one.text), one.name
        assert not commands & runs_of_words(one.payload["message"]), one.name


def test_every_scenario_is_a_claim_and_wants_a_declared_action() -> None:
    kind = load_catalog(PILOTS, EXECUTORS).task_type(PILOT)
    for one in (*injected(), *harmless()):
        check_payload(kind, one.payload)
        if one.command is not None:
            action = kind.action("settle", one.command.action)
            assert set(one.command.arguments) <= set(action.counter_arguments)


def test_the_pilot_agrees_with_its_examples() -> None:
    gate = load_catalog(PILOTS, EXECUTORS).gate(PILOT)
    assert check_examples(gate, read_examples(PILOTS / PILOT / "policy_examples.yaml")) == []


def test_runs_of_words_see_through_hidden_signs() -> None:
    assert runs_of_words("pay it out now") == runs_of_words("Pa\u200by, it: OUT now!")
    assert runs_of_words("two words") == {("two", "words")}
    assert runs_of_words(" - ") == frozenset()


def test_reading_leaves_the_process_as_it_was() -> None:
    before = csv.field_size_limit()
    read_corpus(shipped_files())
    assert csv.field_size_limit() == before
