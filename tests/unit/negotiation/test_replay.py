"""Recorded rounds decided once more."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from domain.calibration import Certificate
from domain.decision import ResultKind
from domain.proposal import Option, Proposal
from domain.task_type import CertifySpec, StrategySpec, SubtaskSpec
from negotiation.learned import Learned
from negotiation.replay import Record, count_blind, mismatch, redecide, was_overdue
from negotiation.rounds import Terms, declared_options, next_step, resolve, widen

Vote = Callable[..., Proposal]
PLURALITY = StrategySpec(name="plurality")
UNANIMOUS = StrategySpec(name="consensus", parameters={"tau": 1.0})


def lived(
    subtask: SubtaskSpec,
    rounds: Sequence[Sequence[Proposal]],
    strategy: StrategySpec,
    learned: Learned | None = None,
    *,
    overdue: bool = False,
) -> Record:
    """The record that these rounds leave, round by round as `tasks.negotiate` holds them."""
    options = declared_options(subtask)
    for number in range(len(rounds)):
        held = rounds[: number + 1]
        late = overdue and number == len(rounds) - 1
        terms = Terms(learned, 100.0)
        result = resolve(strategy, options, subtask.panel, held, overdue=late, terms=terms)
        wider = widen(subtask, options, held[-1])
        step = next_step(strategy, options, len(wider) > len(options), held, result, late, terms)
        if step.go != "again":
            break
        options = wider
    return Record(
        task_id="t",
        subtask_id=subtask.id,
        options=declared_options(subtask),
        eligible=subtask.panel,
        rounds=held,
        overdue=was_overdue(result, step.reason),
        stake=100.0,
        recorded=result,
        spec=subtask,
        right=None,
    )


@pytest.fixture
def split(vote: Vote) -> list[list[Proposal]]:
    """Two against one, and the one comes round with a ground."""
    return [
        [vote("ann", "approve"), vote("bob", "approve"), vote("cyd", "decline")],
        [
            vote("ann", "approve", round=1),
            vote("bob", "approve", round=1),
            vote("cyd", "approve", round=1, cites=("field:ann",)),
        ],
    ]


def test_a_strategy_that_ends_earlier_does_not_see_the_later_rounds(
    subtask: SubtaskSpec, split: list[list[Proposal]]
) -> None:
    record = lived(subtask, split, UNANIMOUS)
    assert len(record.rounds) == 2
    again = redecide(record, PLURALITY, None)
    assert (again.identified, again.rounds, again.kind, again.action) == (True, 1, ResultKind.DECIDED, "approve")
    assert again.result.tally == {"approve": 2.0, "decline": 1.0}


def test_the_recorded_strategy_gives_the_record_back(subtask: SubtaskSpec, split: list[list[Proposal]]) -> None:
    for strategy in (PLURALITY, UNANIMOUS, StrategySpec(name="confidence_weighted", escalate_below=0.5)):
        record = lived(subtask, split, strategy)
        again = redecide(record, strategy, None)
        assert mismatch(record, again) is None
        assert again.result == record.recorded


def test_a_round_that_was_never_held_is_not_guessed(subtask: SubtaskSpec, split: list[list[Proposal]]) -> None:
    record = lived(subtask, split, PLURALITY)
    assert len(record.rounds) == 1
    again = redecide(record, UNANIMOUS, None)
    assert (again.identified, again.kind, again.option, again.action) == (False, None, None, None)
    assert again.leader == "approve"
    assert not again.decided
    assert mismatch(record, again) == "asks for round 1, which was not held"


def test_a_mismatch_says_what_differs(subtask: SubtaskSpec, split: list[list[Proposal]]) -> None:
    record = lived(subtask, split, UNANIMOUS)
    assert mismatch(record, redecide(record, PLURALITY, None)) == "ends after 1 of 2 rounds"
    once = lived(subtask, split, PLURALITY)
    assert mismatch(once, redecide(once, StrategySpec(name="confidence_weighted"), None)) == "differs in tally"


def test_what_an_older_record_does_not_hold_cannot_differ(subtask: SubtaskSpec, split: list[list[Proposal]]) -> None:
    record = lived(subtask, split, PLURALITY)
    held = record.recorded.model_dump(exclude={"score"})
    older = Record(
        **{name: getattr(record, name) for name in Record.__slots__ if name not in ("recorded", "_floors")},
        recorded=type(record.recorded).model_validate(held),
    )
    assert mismatch(older, redecide(older, PLURALITY, None)) is None


def test_counter_proposals_join_as_they_did(subtask: SubtaskSpec, vote: Vote) -> None:
    less = Option(name="approve 500", action="approve", arguments={"limit": 500})
    rounds = [
        [vote("ann", "approve"), vote("bob", "approve"), vote("cyd", "decline", counter=less)],
        [vote(persona, less.name, round=1) for persona in ("ann", "bob", "cyd")],
    ]
    record = lived(subtask, rounds, PLURALITY)
    for strategy in (PLURALITY, UNANIMOUS):
        again = redecide(record, strategy, None)
        assert (again.identified, again.rounds, again.option, again.action) == (True, 2, less.name, "approve")
    # Where no round may follow, nobody can vote on what joined: a person decides.
    blind = redecide(record, StrategySpec(name="plurality", rounds=1), None)
    assert (blind.identified, blind.rounds, blind.kind, blind.decided) == (True, 1, ResultKind.DECIDED, False)


def test_a_stalemate_goes_the_way_the_strategy_says(subtask: SubtaskSpec, vote: Vote) -> None:
    tied = [[vote("ann", "approve"), vote("bob", "decline"), vote("cyd", None)]]
    record = lived(subtask, tied, StrategySpec(name="plurality", rounds=1))
    safe = StrategySpec(name="plurality", safe_default="decline", stalemate=("safe_default", "human"))
    again = redecide(record, safe, None)
    assert (again.kind, again.option, again.leader, again.rounds) == (ResultKind.STALEMATE, "decline", None, 1)
    human = redecide(record, safe.model_copy(update={"stalemate": ("human",)}), None)
    assert (human.identified, human.kind, human.option) == (True, ResultKind.STALEMATE, None)
    another = redecide(record, safe.model_copy(update={"stalemate": ("round", "safe_default", "human")}), None)
    assert not another.identified


def test_a_deadline_holds_at_the_last_recorded_round_only(subtask: SubtaskSpec, vote: Vote) -> None:
    rounds = [
        [vote("ann", "approve"), vote("bob", "approve"), vote("cyd", "decline")],
        [vote("ann", "approve", round=1), vote("bob", "approve", round=1)],
    ]
    five = UNANIMOUS.model_copy(update={"rounds": 5})
    record = lived(subtask, rounds, five, overdue=True)
    assert record.overdue
    again = redecide(record, five, None)
    assert mismatch(record, again) is None
    assert again.result.present == 3
    # At the first round the deadline had not passed: a round of its own would have followed.
    cut = Record(
        **{**{name: getattr(record, name) for name in Record.__slots__ if name != "_floors"}, "overdue": False}
    )
    late, open_ = redecide(record, five, None), redecide(cut, five, None)
    assert (late.identified, late.kind) == (True, ResultKind.BELOW_THRESHOLD)
    assert "the deadline has passed" in late.reason
    assert open_.result.present == 2
    assert redecide(record, PLURALITY, None).rounds == 1


def test_the_leader_is_told_whatever_stands_in_its_way(subtask: SubtaskSpec, vote: Vote) -> None:
    vetoed = [[vote("ann", "approve"), vote("bob", "approve"), vote("cyd", "decline", veto="approve")]]
    record = lived(subtask, vetoed, PLURALITY)
    blocked = redecide(record, PLURALITY, None)
    assert (blocked.kind, blocked.leader, blocked.decided) == (ResultKind.BLOCKED, "approve", False)
    alone = lived(subtask, [[vote("ann", "decline")]], PLURALITY)
    short = redecide(alone, PLURALITY, None)
    assert (short.kind, short.leader) == (ResultKind.NO_QUORUM, "decline")


def test_nobody_present_is_a_record_too(subtask: SubtaskSpec) -> None:
    record = lived(subtask, [[]], PLURALITY)
    again = redecide(record, UNANIMOUS, None)
    assert (again.kind, again.leader, again.decided) == (ResultKind.NO_QUORUM, None, False)
    assert mismatch(record, redecide(record, PLURALITY, None)) is None


def _learned(threshold: float | None, **more: Any) -> Learned:
    certificate = Certificate(
        strategy="log_odds",
        measure="posterior",
        alpha=0.05,
        delta=0.1,
        threshold=threshold,
        cases=100,
        reason="held",
    )
    rates = {"ann": 0.6, "bob": 0.6, "cyd": 0.9}
    return Learned(version=3, rates=rates, mean_rate=0.7, certificates={"log_odds": certificate}, **more)


def test_learned_weights_and_thresholds_decide(subtask: SubtaskSpec, split: list[list[Proposal]]) -> None:
    record = lived(subtask, split, PLURALITY)
    certified = StrategySpec(name="log_odds", rounds=1, certify=CertifySpec())
    # log-odds: 2 x 0.405 for approve against 2.197 for decline.
    decided = redecide(record, certified, _learned(0.7))
    assert (decided.action, decided.leader) == ("decline", "decline")
    assert decided.score == pytest.approx(0.8)
    for learned in (_learned(0.9), _learned(None), _learned(0.7, withdrawn="another panel")):
        person = redecide(record, certified, learned)
        assert (person.identified, person.decided, person.leader) == (True, False, "decline")
    stake = certified.model_copy(update={"certify": CertifySpec(stake_limit=99.0)})
    assert not redecide(record, stake, _learned(0.7)).decided


def test_below_a_certified_threshold_a_person_decides_whatever_further_rounds_would_bring(
    subtask: SubtaskSpec, split: list[list[Proposal]]
) -> None:
    record = lived(subtask, split, PLURALITY)
    certified = StrategySpec(name="log_odds", rounds=2, certify=CertifySpec())
    person = redecide(record, certified, _learned(0.9))
    assert (person.identified, person.decided, person.kind) == (True, False, ResultKind.BELOW_THRESHOLD)
    # With a safe default a later stalemate would decide: that is not known.
    defaulted = certified.model_copy(update={"safe_default": "decline"})
    assert not redecide(record, defaulted, _learned(0.9)).identified


def test_without_a_calibration_plurality_is_counted_and_a_person_decides(
    subtask: SubtaskSpec, split: list[list[Proposal]]
) -> None:
    record = lived(subtask, split, PLURALITY)
    again = redecide(record, StrategySpec(name="log_odds", rounds=1), None)
    assert (again.kind, again.leader, again.decided) == (ResultKind.BELOW_THRESHOLD, "approve", False)


def test_rounds_that_do_not_pay_are_not_asked_for(subtask: SubtaskSpec, split: list[list[Proposal]]) -> None:
    record = lived(subtask, split, PLURALITY)
    auto = UNANIMOUS.model_copy(update={"auto_rounds": True})
    assert not redecide(record, auto, _learned(0.7)).identified
    assert redecide(record, auto, _learned(0.7, debate_pays=False)).identified


def test_the_blind_vote_is_counted_alone_however_many_rounds_were_held(
    subtask: SubtaskSpec, split: list[list[Proposal]]
) -> None:
    record = lived(subtask, split, UNANIMOUS)
    assert len(record.rounds) == 2
    # In round 1 all three say approve; blind, the most reliable persona alone outweighs the other two.
    log_odds = StrategySpec(name="log_odds")
    blind = count_blind(record, log_odds, _learned(0.7), CertifySpec())
    assert (blind.leader, blind.decided) == ("decline", True)
    assert not count_blind(record, log_odds, _learned(0.9), CertifySpec()).decided
    assert not count_blind(record, log_odds, _learned(0.7), CertifySpec(alpha=0.01)).decided
    assert not count_blind(record, log_odds, _learned(0.7)).decided, "without a bound nothing is certified"


def test_a_blind_tie_has_no_leader(subtask: SubtaskSpec, vote: Vote) -> None:
    record = lived(subtask, [[vote("ann", "approve"), vote("bob", "decline")]], PLURALITY)
    blind = count_blind(record, PLURALITY, None, CertifySpec())
    assert (blind.leader, blind.decided) == (None, False)
