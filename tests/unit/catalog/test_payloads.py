import pytest

from catalog.payloads import MAX_DEPTH, check_payload
from domain.errors import PayloadError

GOOD = {"amount": 12.5, "job": "fixed"}


def problems(loan, payload):
    with pytest.raises(PayloadError) as error:
        check_payload(loan, payload)
    return str(error.value).splitlines()[1:]


def test_a_good_payload_comes_back(loan):
    assert check_payload(loan, {**GOOD, "tags": ["a"], "code": 3}) == {**GOOD, "tags": ["a"], "code": 3}


def test_every_problem_is_listed(loan):
    assert problems(loan, {"amount": -1, "late": "yes", "tags": ["a", 1], "colour": "red"}) == [
        "- colour: got an unknown field, expected one of amount, code, job, late, tags, years",
        "- job: got nothing, expected a value",
        "- amount: got -1, expected minimum 0",
        "- late: got 'yes', expected boolean",
        "- tags[1]: got 1, expected string",
    ]


@pytest.mark.parametrize("payload", [None, [], "text", 3])
def test_not_an_object(loan, payload):
    assert "expected an object" in problems(loan, payload)[0]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), "a finite number"),
        (float("inf"), "a finite number"),
        (2**63, "at most 64 bits"),
        ("a\x00b", "NUL"),
        ("\ud800", "surrogates"),
        ({"a\x00": 1}, "NUL"),
        ({1: 2}, "a text key"),
        ({1, 2}, "plain JSON"),
        (b"x", "plain JSON"),
    ],
)
def test_what_cannot_be_stored(loan, value, expected):
    (problem,) = problems(loan, {**GOOD, "tags": [value]})
    assert problem.startswith("- tags[0]")
    assert expected in problem
    problem.encode("utf-8")


def test_too_deep_and_too_long(loan):
    deep = []
    for _ in range(10_000):
        deep = [deep]
    assert f"at most {MAX_DEPTH} levels" in problems(loan, {**GOOD, "tags": deep})[0]
    assert "characters of JSON" in problems(loan, {**GOOD, "tags": ["x" * 2**20]})[0]


def test_unknown_fields_are_refused_even_where_the_schema_does_not_say(loan):
    schema = {name: part for name, part in loan.payload_schema.items() if name != "additionalProperties"}
    assert "unknown field" in problems(loan.model_copy(update={"payload_schema": schema}), {**GOOD, "x": 1})[0]


def test_a_changed_schema_is_compiled_anew(loan):
    check_payload(loan, GOOD)
    schema = {"type": "object", "properties": {"amount": {"type": "string"}}}
    other = loan.model_copy(update={"payload_schema": schema})
    assert check_payload(other, {"amount": "x"}) == {"amount": "x"}
