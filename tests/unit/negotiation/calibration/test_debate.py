"""What debate was worth."""

import pytest

from domain.calibration import DebateGain
from domain.task_type import StrategySpec
from negotiation.calibration.debate import Debated, gain, leaders


def test_only_debated_cases_count_and_a_tie_is_not_right():
    found = gain(
        [
            Debated("a", ("a",)),
            Debated("a", ("b", "a")),
            Debated("a", (None, "a")),
            Debated("a", ("a", "b")),
            Debated("a", ("a", None)),
            Debated("a", ("b", "a", "b")),
            Debated("a", ("a", "a")),
        ]
    )
    assert (found.cases, found.wrong_to_right, found.right_to_wrong, found.net) == (6, 2, 2, 0)


@pytest.mark.parametrize(
    ("cases", "better", "worse", "pays"), [(29, 20, 0, None), (30, 1, 0, True), (30, 3, 3, False), (100, 2, 5, False)]
)
def test_debate_pays_where_more_is_put_right_than_wrong_on_enough_cases(cases, better, worse, pays):
    assert DebateGain(cases=cases, wrong_to_right=better, right_to_wrong=worse).pays is pays


def test_the_leader_is_read_off_each_round_even_where_it_does_not_decide(vote, options):
    cited = {"round": 1, "named_error": "misread"}
    rounds = [
        [vote("ann", "approve"), vote("bob", "decline")],
        [vote("ann", "decline", **cited), vote("bob", "decline", **cited)],
    ]
    spec = StrategySpec(name="plurality", escalate_below=1.0, quorum="1")
    assert leaders(spec, options, ["ann", "bob", "cyd"], rounds) == (None, "decline")
