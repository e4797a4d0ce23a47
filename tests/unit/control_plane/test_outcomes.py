"""A CSV of outcomes."""

from pathlib import Path

import pytest

from control_plane.services.outcomes import LabelledCase, Problem, read_labels
from domain.errors import CaseFileError


def _file(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "labels.csv"
    path.write_bytes(content)
    return path


def test_reads_the_named_columns(tmp_path: Path) -> None:
    found = read_labels(_file(tmp_path, b"\xef\xbb\xbfid,x,status\nA,1,good\nB,2,bad\n"), "id", "status")
    assert list(found.cases) == [LabelledCase(2, "A", "good"), LabelledCase(3, "B", "bad")]
    assert list(found.bad) == []


def test_lists_lines_that_cannot_be_used(tmp_path: Path) -> None:
    found = read_labels(_file(tmp_path, b"id,status\nA,good\n,bad\nA,bad\nA,good\nB\n"), "id", "status")
    assert [case.key for case in found.cases] == ["A"]
    assert list(found.bad) == [
        Problem(3, "key or label is empty"),
        Problem(4, "case A has the label good on line 2"),
        Problem(6, "key or label is empty"),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"id,label\nA,good\n", "no column status: it has id, label"),
        (b"", "no column id: it has none"),
        (b"id,status\n\xff,good\n", "is not UTF-8"),
        (b'id,status\n"A"x,good\n', "line 2"),
    ],
)
def test_refuses_a_file_it_cannot_use(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(CaseFileError, match=said):
        read_labels(_file(tmp_path, content), "id", "status")


def test_refuses_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CaseFileError, match="cannot be read"):
        read_labels(tmp_path / "none.csv", "id", "status")
