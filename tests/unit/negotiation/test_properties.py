"""What must hold for every ballot."""

import json
import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.decision import ResultKind
from domain.proposal import Evidence, Option, Proposal
from domain.task_type import StrategySpec
from negotiation.explanation import explain, recompute
from negotiation.rounds import next_step, resolve
from negotiation.strategies import STRATEGIES

NAMES = ("a", "b", "c")
OPTIONS = tuple(Option(name=name, action=name) for name in NAMES)
PANEL = tuple(f"p{number}" for number in range(7))
every_strategy = pytest.mark.parametrize("name", sorted(STRATEGIES))

# Which strategy holds which property; a false cell is one that it need not hold.
HOLDS = {
    "plurality": {"anonymity": True, "unanimity": True, "neutrality": True, "monotone": True},
    "consensus": {"anonymity": True, "unanimity": True, "neutrality": True, "monotone": True},
    "confidence_weighted": {"anonymity": False, "unanimity": True, "neutrality": True, "monotone": True},
}


def holding(cell):
    return pytest.mark.parametrize("name", sorted(name for name, row in HOLDS.items() if row[cell]))


def proposal(persona, option, confidence, round=0, **more):
    shown = (Evidence(id=f"field:{persona}"),)
    fields = {"persona_version": 1, "rationale": "why", "evidence": shown, **more}
    return Proposal(persona=persona, option=option, confidence=confidence, round=round, **fields)


confidences = st.floats(0.0, 1.0)
choices = st.sampled_from((*NAMES, None))
ballots = st.lists(st.tuples(choices, confidences), max_size=len(PANEL)).map(
    lambda votes: [proposal(persona, *vote) for persona, vote in zip(PANEL, votes, strict=False)]
)


def spec_of(name, **more):
    return StrategySpec(name=name, **{"quorum": "1/100", **more})


def test_the_table_names_every_strategy():
    assert set(HOLDS) == set(STRATEGIES)


@every_strategy
@settings(deadline=None)
@given(votes=ballots, data=st.data())
def test_arrival_leaves_no_trace(name, votes, data):
    shuffled = data.draw(st.permutations(votes))
    panel = data.draw(st.permutations(PANEL))
    one = resolve(spec_of(name), OPTIONS, PANEL, [votes])
    assert resolve(spec_of(name), OPTIONS, panel, [shuffled]).model_dump_json() == one.model_dump_json()


@holding("anonymity")
@settings(deadline=None)
@given(votes=ballots, data=st.data())
def test_anonymity(name, votes, data):
    held = data.draw(st.permutations([vote.option for vote in votes]))
    swapped = [vote.model_copy(update={"option": option}) for vote, option in zip(votes, held, strict=True)]
    one, other = (resolve(spec_of(name), OPTIONS, PANEL, [each]) for each in (votes, swapped))
    assert (one.kind, one.option, one.margin, one.tally) == (other.kind, other.option, other.margin, other.tally)


@holding("neutrality")
@settings(deadline=None)
@given(votes=ballots, names=st.permutations(NAMES))
def test_neutrality(name, votes, names):
    new = dict(zip(NAMES, names, strict=True)) | {None: None}
    renamed = [vote.model_copy(update={"option": new[vote.option]}) for vote in votes]
    one, other = (resolve(spec_of(name), OPTIONS, PANEL, [each]) for each in (votes, renamed))
    assert (other.kind, other.option, other.margin) == (one.kind, new[one.option], one.margin)
    assert other.tally == {new[option]: score for option, score in one.tally.items()}


@holding("unanimity")
@settings(deadline=None)
@given(option=st.sampled_from(NAMES), weights=st.lists(st.floats(0.01, 1.0), min_size=2, max_size=7))
def test_unanimity(name, option, weights):
    votes = [proposal(persona, option, weight) for persona, weight in zip(PANEL, weights, strict=False)]
    result = resolve(spec_of(name, escalate_below=1.0), OPTIONS, PANEL, [votes])
    assert (result.kind, result.option, result.margin, result.dissent) == (ResultKind.DECIDED, option, 1.0, ())


@holding("monotone")
@settings(deadline=None)
@given(votes=ballots, which=st.integers(0, 6), confidence=confidences)
def test_support_for_the_winner_never_unseats_it(name, votes, which, confidence):
    before = resolve(spec_of(name), OPTIONS, PANEL, [votes])
    if before.kind is not ResultKind.DECIDED or which >= len(votes):
        return
    old = votes[which]
    more = max(confidence, old.confidence) if old.option == before.option else confidence
    raised = [*votes[:which], proposal(old.persona, before.option, more), *votes[which + 1 :]]
    after = resolve(spec_of(name), OPTIONS, PANEL, [raised])
    assert (after.kind, after.option) == (ResultKind.DECIDED, before.option)
    assert after.margin >= before.margin - 1e-12


@every_strategy
@settings(deadline=None)
@given(votes=ballots, confidence=confidences)
def test_an_abstention_changes_no_options_standing(name, votes, confidence):
    if len(votes) == len(PANEL):
        return
    more = [*votes, proposal(PANEL[-1], None, confidence)]
    one, other = (resolve(spec_of(name), OPTIONS, PANEL, [each]) for each in (votes, more))
    assert (one.tally, one.margin, one.casting) == (other.tally, other.margin, other.casting)
    assert other.present == one.present + 1


@every_strategy
@settings(deadline=None)
@given(votes=ballots, bad=st.one_of(st.floats(max_value=-1e-9), st.floats(min_value=1.0000001), st.just(math.nan)))
def test_a_bad_confidence_is_as_if_absent(name, votes, bad):
    if not votes:
        return
    broken = [Proposal.model_construct(**{**dict(votes[0]), "confidence": bad}), *votes[1:]]
    one, other = (resolve(spec_of(name), OPTIONS, PANEL, [each]) for each in (votes[1:], broken))
    assert other.model_copy(update={"rejected": ()}) == one
    assert len(other.rejected) == 1


@every_strategy
@settings(deadline=None)
@given(votes=ballots, option=choices, confidence=confidences)
def test_a_second_vote_is_as_if_absent(name, votes, option, confidence):
    if not votes:
        return
    twice = [*votes, proposal(votes[0].persona, option, confidence)]
    one, other = (resolve(spec_of(name), OPTIONS, PANEL, [each]) for each in (votes[1:], twice))
    assert other.model_copy(update={"rejected": ()}) == one
    assert len(other.rejected) == 2


@every_strategy
@settings(deadline=None)
@given(votes=ballots, over=st.integers(1, 12), under=st.integers(1, 12), least=st.integers(1, 7))
def test_quorum_is_exact(name, votes, over, under, least):
    if over > under:
        over, under = under, over
    result = resolve(spec_of(name, quorum=f"{over}/{under}", min_casting=least), OPTIONS, PANEL, [votes])
    enough = len(votes) >= Fraction(over, under) * len(PANEL) and result.casting >= least
    assert (result.kind is not ResultKind.NO_QUORUM) == enough


@every_strategy
@settings(deadline=None)
@given(votes=ballots, target=st.sampled_from(NAMES))
def test_a_veto_changes_no_score(name, votes, target):
    if not votes:
        return
    vetoed = [votes[0].model_copy(update={"veto": target}), *votes[1:]]
    one, other = (resolve(spec_of(name), OPTIONS, PANEL, [each]) for each in (votes, vetoed))
    assert (one.tally, one.margin) == (other.tally, other.margin)
    blocked = one.kind is ResultKind.DECIDED and one.option == target
    assert other.kind == (ResultKind.BLOCKED if blocked else one.kind)


@every_strategy
@settings(deadline=None)
@given(votes=ballots)
def test_scores_are_bounded(name, votes):
    result = resolve(spec_of(name), OPTIONS, PANEL, [votes])
    assert 0.0 <= result.margin <= 1.0
    assert all(0.0 <= score <= len(votes) for score in result.tally.values())


@every_strategy
@settings(max_examples=60, deadline=None)
@given(
    rounds=st.lists(st.lists(st.tuples(choices, confidences, st.booleans()), max_size=5), min_size=1, max_size=4),
    overdue=st.booleans(),
)
def test_the_explanation_recomputes_the_result_and_the_limit_ends_it(name, rounds, overdue):
    cites = ("field:p0", "field:p1")
    heard = [
        [
            proposal(persona, option, confidence, number, cites=cites if revises else ())
            for persona, (option, confidence, revises) in zip(PANEL, given_round, strict=False)
        ]
        for number, given_round in enumerate(rounds)
    ]
    spec = spec_of(name, rounds=len(rounds))
    result = resolve(spec, OPTIONS, PANEL, heard, overdue)
    explanation = explain(spec, OPTIONS, PANEL, heard, result, "", overdue)
    assert recompute(json.loads(json.dumps(explanation, allow_nan=False))) == result
    assert next_step(spec, OPTIONS, False, heard, result, overdue).go != "again"
