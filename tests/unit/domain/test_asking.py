"""How voices decide a request."""

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from pydantic import ValidationError

from domain.asking import ApprovalsSpec, Asks, ChainStep, Given, Voice, choice_digest, decide, voice_of

YES, NO, OVER = Voice.APPROVED, Voice.REFUSED, Voice.OVERRIDDEN


def _given(*said: Any) -> list[Given]:
    """`YES`, or (YES, option), or (YES, option, arguments)."""
    found = []
    for number, one in enumerate(said):
        voice, option, arguments = (*(one if isinstance(one, tuple) else (one,)), None, None)[:3]
        found.append(Given(f"p{number}", voice, option, arguments))
    return found


@pytest.mark.parametrize(
    ("quorum", "of", "said", "outcome"),
    [
        (1, 1, [], None),
        (1, 1, [YES], YES),
        (1, 1, [NO], NO),
        (2, 2, [YES], None),
        (2, 2, [YES, YES], YES),
        (2, 2, [NO], NO),
        (2, 3, [NO], None),
        (2, 3, [NO, YES], None),
        (2, 3, [NO, YES, YES], YES),
        (2, 3, [NO, NO], NO),
        (2, 3, [(YES, "a"), (YES, "b")], None),
        (2, 3, [(YES, "a"), (YES, "b"), (YES, "b")], YES),
        (2, 3, [(YES, "a"), (YES, "b"), (YES, "c")], NO),
        (2, 2, [(YES, "a"), (YES, "b")], NO),
        (2, 3, [(YES, "a", {"x": 1}), (YES, "a", {"x": 2})], None),
        (2, 3, [(YES, "a", {"x": 1}), (YES, "a", {"x": 1})], YES),
        (2, 3, [(YES, "a", {"x": 1}), (YES, "a")], None),
        (3, 5, [NO, NO], None),
        (3, 5, [NO, NO, NO], NO),
        (5, 9, [OVER], OVER),
        (2, 3, [NO, OVER], OVER),
    ],
)
def test_what_the_answers_amount_to(quorum: int, of: int, said: list[Any], outcome: Voice | None) -> None:
    assert decide(Asks(quorum=quorum, of=of), _given(*said)) == outcome


def test_the_order_of_the_answers_plays_no_part() -> None:
    for said in permutations([NO, (YES, "a"), (YES, "b"), (YES, "a")]):
        assert decide(Asks(quorum=2, of=4), _given(*said)) == YES


@pytest.mark.parametrize("word", ["", "yes", "ok", "Approve", "approve ", "approved", "maybe", "👍", "null"])
def test_what_is_no_known_answer_refuses(word: str) -> None:
    assert voice_of(word) is NO


@pytest.mark.parametrize("kept", ["", "yes", "approve", "maybe"])
def test_a_kept_answer_that_is_none_refuses(kept: str) -> None:
    assert decide(Asks(), _given(kept)) is NO


def test_known_words() -> None:
    assert [voice_of(word) for word in ("approve", "refuse", "override")] == [YES, NO, OVER]


def test_a_choice_is_bound_to_request_option_and_arguments() -> None:
    given: tuple[Any, ...] = ("d", "a", {"x": 1})
    others: list[tuple[Any, ...]] = [("e", "a", {"x": 1}), ("d", "b", {"x": 1}), ("d", "a", {"x": 2}), ("d", "a", None)]
    assert choice_digest(*given) not in {choice_digest(*one) for one in others}
    assert choice_digest("d", "a", {}) != choice_digest("d", "a", None)


def test_the_chain_says_whose_turn_it_is() -> None:
    steps = (ChainStep(role="head", after=timedelta(hours=1)), ChainStep(role="board", after=timedelta(hours=2)))
    asks = Asks(role="approver", chain=steps)
    assert [asks.role_at(step) for step in range(4)] == ["approver", "head", "board", "board"]
    assert [asks.time_at(step) for step in range(3)] == [timedelta(hours=1), timedelta(hours=2), None]
    assert Asks.model_validate(asks.shown()) == asks


@pytest.mark.parametrize(
    "given",
    [
        {"quorum": 0},
        {"quorum": 3, "of": 2},
        {"role": ""},
        {"role": "a b"},
        {"on_expiry": "escalate"},
        {"notify": "ftp://x"},
        {"notify": "file:///etc/passwd"},
        {"chain": [{"role": "head"}]},
        {"unknown": 1},
    ],
)
def test_what_a_task_type_cannot_say(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ApprovalsSpec.model_validate(given)
