import pytest

from domain.guard import Hop, Subject
from guardrails.filters.protected_attributes import ProtectedAttributes, build


def _seen(text: str, *hidden: str) -> str | None:
    finding = ProtectedAttributes(hidden or ("Age", "Marital")).check(Subject(hop=Hop.PROPOSAL, text=text))
    return finding.reason if finding else None


@pytest.mark.parametrize(
    "text",
    [
        "Age 61 speaks against it",
        "AGE",
        "the applicant's age",
        "aged 50",
        "at certain ages",
        "an ageing client",
        "67 years old",
        "a 67-year-old",
        "67 yrs old",
        "years of age",
        "an elderly man",
        "senior citizens",
        "a pensioner",
        "too old for this term",
        "a young applicant",
        "in his late sixties",
        "in her 60s",
        "date of birth",
        "teenager",
        "applicant_age=61",
        '{"field:Age": 61}',
        "applicantAge",
        "AgeGroup",
        '"rationale": "First.\\nAge counts"',
        "a\u200bge",
        "\uff21ge",
        "ag\u00ade",
        "middle-aged",
    ],
)
def test_words_of_age_are_seen(text):
    assert _seen(text) == "mentions Age"


@pytest.mark.parametrize(
    "text",
    [
        "marital status",
        "MARITAL",
        "she is married",
        "unmarried",
        "remarried",
        "divorced",
        "a divorcee",
        "a widow",
        "widower",
        "no spouse",
        "her husband",
        "his wife",
        "a single parent",
        "single mothers",
        "the applicant is single.",
        "remains single and solvent",
        "newlyweds",
        "legally separated, two incomes",
        "cohabiting",
        "civil partnership",
        "marital_status",
        "MaritalStatus",
        "by marriage",
    ],
)
def test_words_of_marital_status_are_seen(text):
    assert _seen(text) == "mentions Marital"


@pytest.mark.parametrize(
    "text",
    [
        "mortgage",
        "average",
        "stage",
        "manage",
        "management",
        "agent",
        "agenda",
        "page",
        "wage",
        "leverage",
        "coverage",
        "percentage",
        "storage",
        "MORTGAGE",
        "averaged",
        "managed",
        "damages",
        "agency",
        "package",
        "eager",
        "images",
        "a single loan",
        "single-digit margin",
        "the margin is single-digit",
        "every single month",
        "comma-separated",
        "accounts are separated by bank",
        "old debt",
        "years at the job",
        "a new business",
        "seniority",
        "3 years of history",
        "martial",
        "extramaritally",
        "midwifery",
        "bachelor's degree",
        "housewarming",
        "average income, no debt",
    ],
)
def test_other_words_are_not(text):
    assert _seen(text) is None


def test_all_attributes_and_places_are_named():
    finding = ProtectedAttributes(["Age", "Marital"]).check(Subject(hop=Hop.PROPOSAL, text="age and married, age"))
    assert finding is not None
    assert finding.reason == "mentions Age, Marital"
    assert finding.spans == ((0, 3), (8, 15), (17, 20))
    assert finding.score == 1.0


def test_what_is_protected_comes_from_the_task_type(make_task_type):
    subject = Subject(hop=Hop.PROPOSAL, text="their age")
    assert build(make_task_type()).check(subject) is not None
    assert build(make_task_type(hide=("Marital",))).check(subject) is None
    assert build(make_task_type(hide=())).check(subject) is None
    assert build(make_task_type(hide=())).version != build(make_task_type()).version


@pytest.mark.parametrize("text", ["home_zone 3", "HomeZone", "home zones", "the home zone", "homeZone"])
def test_a_field_of_several_words_is_seen_in_any_spelling(text):
    assert _seen(text, "home_zone") == "mentions home_zone"
    assert _seen("a zone at home", "home_zone") is None


def test_a_field_without_a_family_is_a_whole_word_of_its_own():
    assert _seen("two Records on file", "Record") == "mentions Record"
    assert _seen("recording", "Record") is None


def test_the_input_is_left_alone():
    assert Hop.INPUT not in ProtectedAttributes(["Age"]).hops
