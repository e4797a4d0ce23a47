"""What data may hold and no terminal may be given."""

import json

import pytest

from domain.printable import escaped, one_line, printable

HOSTILE = ["\x1b]0;owned\x07", "\x1b[2J", "\x9b2J", "\x7f", "\u202e", "\u2066", "\u200b", "\u2028", "\U000e0041", "\r"]


@pytest.mark.parametrize("mark", HOSTILE)
def test_what_is_not_printable_is_replaced(mark):
    told = printable(f"a{mark}b", keep="\n")
    assert told.isprintable()
    assert (told[0], told[-1]) == ("a", "b")
    assert one_line(f"a{mark}b").isprintable()


def test_what_is_printable_stays():
    text = "Zoë’s 東京 🎉 – 5 % \\x1b"
    assert (printable(text), one_line(f"  {text}\n\tb ")) == (text, f"{text} b")
    assert printable("a\nb\tc", keep="\n") == "a\nb\N{REPLACEMENT CHARACTER}c"
    assert printable("a\nb") == "a\N{REPLACEMENT CHARACTER}b"


def test_json_stays_the_same_value():
    value = {"key\x9b": ["".join(HOSTILE), "Zoë 🎉", "line\nline"], "\udc80": 1.5}
    text = escaped(json.dumps(value, indent=2, ensure_ascii=False))
    assert json.loads(text) == value
    assert "".join(text.split("\n")).isprintable()
    assert "Zoë 🎉" in text
