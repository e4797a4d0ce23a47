import json

import pytest

import catalog.cases
from catalog.cases import read_cases
from domain.errors import CaseFileError
from domain.strict_json import LIMIT_BYTES

HEADER = "id,status,amount,job,years,late,tags,code"


@pytest.fixture
def file(tmp_path):
    def write(*lines, name="cases.csv"):
        path = tmp_path / name
        path.write_bytes("\n".join(lines).encode())
        return path

    return write


def test_values_by_their_types(loan, file):
    path = file("\ufeff" + HEADER, 'A1,good,129.0,fixed,3,true,"[""x"", ""y""]",7', "A2,,5,,,FALSE,[],x7")
    first, second = read_cases(loan, path).cases
    assert (first.line, first.key, first.outcome) == (2, "A1", "good")
    assert first.payload == {
        "amount": 129.0, "job": "fixed", "years": 3, "late": True, "tags": ["x", "y"], "code": 7,
    }  # fmt: skip
    assert (second.line, second.key, second.outcome) == (3, "A2", None)
    assert second.payload == {"amount": 5, "job": None, "years": None, "late": False, "tags": [], "code": "x7"}


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("A1,good,lots,fixed", "amount: got 'lots', expected number"),
        ("A1,good,nan,fixed", "amount: got 'nan', expected number"),
        ("A1,good,1_0,fixed", "amount: got '1_0', expected number"),
        ("A1,good,1e999,fixed", "expected a finite number"),
        ("A1,good,-1,fixed", "amount: got -1, expected minimum 0"),
        ("A1,good,,fixed", "amount: got null, expected number"),
        ("A1,good,1,king", "job: got 'king'"),
        ("A1,great,1,fixed", "status: got 'great', expected one of good, bad"),
        (",good,1,fixed", "id: got ''"),
        ("A1,good,1", "got 3 columns, expected 4"),
        ("A1,good,1,fixed,", "got 5 columns, expected 4"),
        ('A1,good,1,"fixed"x', "not CSV"),
        ('A1,good,1,"fixed', "not CSV"),
    ],
)
def test_a_bad_line_says_why_and_spares_the_others(loan, file, row, problem):
    found = read_cases(loan, file("id,status,amount,job", "A0,bad,1,free", row))
    assert [case.key for case in found.cases] == ["A0"]
    assert [bad.line for bad in found.bad] == [3]
    assert problem in found.bad[0].problem


def test_after_a_bad_line_it_goes_on(loan, file):
    found = read_cases(
        loan, file("id,status,amount,job", 'A0,bad,1,"f"x', "", "A1,bad,1,free", "A1,bad,2,free", "A2,,1,free")
    )
    assert [(case.line, case.key) for case in found.cases] == [(4, "A1"), (6, "A2")]
    assert [bad.line for bad in found.bad] == [2, 5]
    assert "line 4 already" in found.bad[1].problem


def test_a_row_over_several_lines_is_named_by_its_first(loan, file):
    loan.payload_schema["properties"]["job"] = {"type": "string"}
    found = read_cases(loan, file("id,status,amount,job", 'A0,bad,1,"two\nlines"', "A1,bad,x,free"))
    assert found.cases[0].line == 2
    assert found.bad[0].line == 4


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ("status,amount,job", "missing columns: 'id'"),
        ("id,amount,job", "missing columns: 'status'"),
        ("id,status,job", "missing columns: 'amount'"),
        ("", "missing columns: 'amount', 'job', 'id', 'status'"),
        ("id,status,amount,job,job", "given twice: 'job'"),
        ("id,status,amount,job,colour", "does not know: 'colour'"),
        ('id,"status', "line 1"),
    ],
)
def test_columns_that_do_not_fit(loan, file, header, named):
    with pytest.raises(CaseFileError) as error:
        read_cases(loan, file(header, "A1,good,1"))
    assert named in str(error.value)


def test_offset_and_limit_count_bad_rows_too(loan, file):
    rows = [f"A{number},good,{'x' if number % 2 else number},fixed" for number in range(6)]
    path = file("id,status,amount,job", *rows)
    found = read_cases(loan, path, offset=1, limit=3)
    assert [case.key for case in found.cases] == ["A2"]
    assert [bad.line for bad in found.bad] == [3, 5]
    assert read_cases(loan, path, offset=9).cases == ()
    assert read_cases(loan, path, limit=0).bad == ()
    with pytest.raises(CaseFileError):
        read_cases(loan, path, offset=-1)


def test_a_key_taken_before_the_offset(loan, file):
    path = file("id,status,amount,job", "A1,good,1,fixed", "A1,bad,2,fixed")
    assert read_cases(loan, path, offset=1).cases == ()


def test_unreadable_files(loan, file, tmp_path, monkeypatch):
    with pytest.raises(CaseFileError, match="readable"):
        read_cases(loan, tmp_path / "nowhere.csv")
    path = file("id")
    path.write_bytes(b"id,status,amount,job\nA1,good,1,\xff\n")
    with pytest.raises(CaseFileError, match="UTF-8"):
        read_cases(loan, path)
    monkeypatch.setattr(catalog.cases, "MAX_BYTES", 10)
    with pytest.raises(CaseFileError, match="larger"):
        read_cases(loan, path)


def test_a_key_that_the_schema_knows_stays_in_the_payload(loan, file):
    loan.payload_schema["properties"]["id"] = {"type": "string"}
    (case,) = read_cases(loan, file("id,status,amount,job", "A1,good,1,fixed")).cases
    assert (case.key, case.payload) == ("A1", {"id": "A1", "amount": 1, "job": "fixed"})


def test_without_case_columns_the_line_is_the_key(loan, file):
    plain = loan.model_copy(update={"cases": None})
    (case,) = read_cases(plain, file("amount,job", "1,fixed")).cases
    assert (case.key, case.outcome) == ("2", None)


def test_json_lines(loan, file, monkeypatch):
    good = {"id": 7, "status": "bad", "amount": 1, "job": None, "tags": ["a"]}
    lines = [
        json.dumps(good),
        "",
        '{"id": "A2", "amount": "1", "job": "fixed"}',
        '{"amount": 1, "job": "fixed"}',
        '{"id": "A3", "amount": NaN, "job": "fixed"}',
        '{"id": "A4", "amount": 1, "amount": 2, "job": "fixed"}',
        "[1]",
        "{",
        '{"id": "A5", "amount": 1, "job": "fixed"}',
    ]
    found = read_cases(loan, file(*lines, name="cases.jsonl"))
    assert [(case.line, case.key, case.outcome) for case in found.cases] == [(1, "7", "bad"), (9, "A5", None)]
    assert found.cases[0].payload == {"amount": 1, "job": None, "tags": ["a"]}
    reasons = ["expected number", "the case's key", "finite", "given twice", "a JSON object", "not JSON"]
    assert [bad.line for bad in found.bad] == [3, 4, 5, 6, 7, 8]
    assert all(reason in bad.problem for reason, bad in zip(reasons, found.bad, strict=True))
    monkeypatch.setattr(catalog.cases, "LIMIT_BYTES", 60)
    monkeypatch.setattr(catalog.cases, "_MOST_BYTES", 62)
    found = read_cases(loan, file('{"id": "' + "x" * 500 + '"}', lines[-1], name="long.jsonl"))
    assert [bad.line for bad in found.bad] == [1]
    assert [case.line for case in found.cases] == [2]


def test_a_line_of_json_has_the_limit_of_a_document(loan, file):
    def line(key, size):
        before, after = f'{{"id": "{key}", "amount": 1, "job": "free", "tags": ["', '"]}'
        filled = "\u00e4" * ((size - len(before) - len(after)) // 2)
        return (before + filled + after).ljust(size - len(filled))

    lines = [line("A1", LIMIT_BYTES), line("A2", LIMIT_BYTES + 1), line("A3", 4 * LIMIT_BYTES), line("A4", 100)]
    assert [len(one.encode()) - LIMIT_BYTES for one in lines[:2]] == [0, 1]
    for ending in ("\n", "\r\n"):
        path = file(name="long.jsonl")
        path.write_bytes(("\ufeff" + ending.join(lines)).encode())
        found = read_cases(loan, path)
        assert [(case.line, case.key) for case in found.cases] == [(1, "A1"), (4, "A4")]
        assert [(bad.line, "larger than 256 KiB" in bad.problem) for bad in found.bad] == [(2, True), (3, True)]


def test_a_line_of_json_that_is_not_utf_8(loan, file):
    path = file(name="odd.jsonl")
    path.write_bytes(b'{"id": "A1", "amount": 1, "job": "\xff"}\n{"id": "A2", "amount": 1, "job": "free"}')
    found = read_cases(loan, path)
    assert [case.key for case in found.cases] == ["A2"]
    assert "byte 34 is not UTF-8" in found.bad[0].problem
