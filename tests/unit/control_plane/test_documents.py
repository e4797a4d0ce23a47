"""One JSON document, read strictly."""

import io
from pathlib import Path

import pytest

from control_plane.services.documents import LIMIT_BYTES, parse_document, read_document
from domain.errors import InputError


def test_reads_a_file_and_stdin(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('{"Income": 1.5, "Job": "fixed"}')
    assert read_document(file, io.BytesIO()) == {"Income": 1.5, "Job": "fixed"}
    assert read_document(Path("-"), io.BytesIO(b'{"a": 1}')) == {"a": 1}


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"a": 1, "a": 2}', "'a' stands twice"),
        (b'{"a": {"b": 1, "b": 1}}', "'b' stands twice"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b'{"a": 1e999}', "1e999 is too large"),
        (b'{"a": 1,\n "b" 2}', "line 2 column 6"),
        (b"[1]", "got list, expected an object"),
        (b'{"a": "\xff"}', "byte 7 is not UTF-8"),
        (b'{"a":' + b"[" * 100_000, "nested too deeply"),
        (b"", "line 1 column 1"),
    ],
)
def test_refuses_what_is_not_strict_json(raw: bytes, said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_document(raw, "case.json")
    assert str(caught.value).startswith("case.json: ")
    assert said in str(caught.value)


def test_refuses_what_is_too_large_or_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"stdin: larger than 256 KiB"):
        read_document(Path("-"), io.BytesIO(b" " * (LIMIT_BYTES + 1)))
    with pytest.raises(InputError, match=r"nothing\.json: cannot be read"):
        read_document(tmp_path / "nothing.json", io.BytesIO())


def test_takes_what_is_just_small_enough() -> None:
    text = b'{"a": 1}'
    assert read_document(Path("-"), io.BytesIO(text.ljust(LIMIT_BYTES))) == {"a": 1}
