"""What must hold for every ballot: one test for each true cell of the table."""

import json
import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.decision import ResultKind
from domain.proposal import Proposal
from negotiation.calibration.scoring import LEAST_THRESHOLD
from negotiation.explanation import explain, recompute
from negotiation.rounds import Terms, next_step, resolve
from negotiation.strategies import STRATEGIES
from tests.unit.negotiation import property_table
from tests.unit.negotiation.property_draws import (
    ANY,
    NAMES,
    OPTIONS,
    PANEL,
    ballots,
    choices,
    confidences,
    decide,
    heard,
    heard_rounds,
    learned,
    lifted,
    proposal,
    spec_of,
    terms_of,
    unanimous,
)

quick = settings(max_examples=30, deadline=None)
TESTED: set[str] = set()


def holding(name):
    TESTED.add(name)
    return pytest.mark.parametrize("name", property_table.holding(name))


def test_the_table_is_whole():
    assert set(property_table.HOLDS) == set(STRATEGIES)
    for row in property_table.HOLDS.values():
        assert list(row) == list(property_table.PROPERTIES)
        assert all(cell is True or (isinstance(cell, str) and cell) for cell in row.values())


def test_every_property_has_a_test():
    assert set(property_table.PROPERTIES) == TESTED


@holding("order")
@quick
@given(votes=ballots, data=st.data())
def test_arrival_leaves_no_trace(name, votes, data):
    terms = data.draw(terms_of(name, thresholds=ANY))
    shuffled, panel = data.draw(st.permutations(votes)), data.draw(st.permutations(PANEL))
    one = resolve(spec_of(name), OPTIONS, PANEL, [votes], terms=terms)
    assert resolve(spec_of(name), OPTIONS, panel, [shuffled], terms=terms).model_dump_json() == one.model_dump_json()


@holding("anonymity")
@quick
@given(votes=ballots, data=st.data())
def test_anonymity(name, votes, data):
    held = data.draw(st.permutations([(vote.option, vote.ranking) for vote in votes]))
    swapped = [
        vote.model_copy(update={"option": option, "ranking": ranking})
        for vote, (option, ranking) in zip(votes, held, strict=True)
    ]
    one, other = (decide(name, each) for each in (votes, swapped))
    assert (one.kind, one.option, one.margin, one.tally) == (other.kind, other.option, other.margin, other.tally)


@holding("neutrality")
@quick
@given(votes=ballots, names=st.permutations(NAMES), data=st.data())
def test_neutrality(name, votes, names, data):
    terms = data.draw(terms_of(name))
    new = dict(zip(NAMES, names, strict=True)) | {None: None}
    renamed = [
        vote.model_copy(update={"option": new[vote.option], "ranking": tuple(new[option] for option in vote.ranking)})
        for vote in votes
    ]
    one, other = (decide(name, each, terms) for each in (votes, renamed))
    assert (other.kind, other.option, other.margin) == (one.kind, new[one.option], one.margin)
    for before, after in ((one.tally, other.tally), (one.posterior or {}, other.posterior or {})):
        assert after == {new[option]: score for option, score in before.items()}


@holding("unanimity")
@quick
@given(case=unanimous(), data=st.data())
def test_unanimity(name, case, data):
    option, votes = case
    result = decide(name, votes, data.draw(terms_of(name, thresholds=st.just(LEAST_THRESHOLD))))
    assert (result.kind, result.option, result.dissent) == (ResultKind.DECIDED, option, ())


@holding("full margin")
@quick
@given(case=unanimous())
def test_a_unanimous_panel_has_the_full_margin(name, case):
    result = decide(name, case[1], escalate_below=1.0)
    assert (result.kind, result.margin) == (ResultKind.DECIDED, 1.0)


@holding("confidence")
@quick
@given(votes=ballots, which=st.integers(0, 6), confidence=confidences, data=st.data())
def test_a_surer_supporter_never_unseats_the_leader(name, votes, which, confidence, data):
    terms = data.draw(terms_of(name, least_slope=0.0))
    before = decide(name, votes, terms)
    if before.option is None or which >= len(votes) or votes[which].option != before.option:
        return
    surer = votes[which].model_copy(update={"confidence": max(confidence, votes[which].confidence)})
    after = decide(name, [*votes[:which], surer, *votes[which + 1 :]], terms)
    assert after.option == before.option
    assert before.kind is not ResultKind.DECIDED or after.kind is ResultKind.DECIDED
    assert after.margin >= before.margin - 1e-12


def with_more_support(name, votes, which, confidence, terms):
    """The results before and after a vote is moved to the winner; None where there is none or no such vote."""
    before = decide(name, votes, terms)
    if before.kind is not ResultKind.DECIDED or which >= len(votes):
        return None
    old = votes[which]
    more = max(confidence, old.confidence) if old.option == before.option else confidence
    raised = [*votes[:which], lifted(old, before.option, more), *votes[which + 1 :]]
    return before, decide(name, raised, terms)


@holding("support")
@quick
@given(votes=ballots, which=st.integers(0, 6), confidence=confidences, data=st.data())
def test_support_for_the_winner_never_unseats_it(name, votes, which, confidence, data):
    both = with_more_support(name, votes, which, confidence, data.draw(terms_of(name)))
    if both is not None:
        assert (both[1].kind, both[1].option) == (ResultKind.DECIDED, both[0].option)


@holding("support margin")
@quick
@given(votes=ballots, which=st.integers(0, 6), confidence=confidences, data=st.data())
def test_support_for_the_winner_never_shrinks_its_margin(name, votes, which, confidence, data):
    both = with_more_support(name, votes, which, confidence, data.draw(terms_of(name)))
    if both is not None:
        assert both[1].margin >= both[0].margin - 1e-12


@holding("abstention")
@quick
@given(votes=ballots, confidence=confidences, data=st.data())
def test_an_abstention_changes_no_options_standing(name, votes, confidence, data):
    if len(votes) == len(PANEL):
        return
    terms = data.draw(terms_of(name))
    more = [*votes, proposal(PANEL[-1], None, confidence)]
    one, other = (decide(name, each, terms) for each in (votes, more))
    assert (one.tally, one.margin, one.casting) == (other.tally, other.margin, other.casting)
    assert (one.option, one.score, one.posterior) == (other.option, other.score, other.posterior)
    assert other.present == one.present + 1


@holding("bounded")
@quick
@given(votes=ballots, data=st.data())
def test_scores_are_bounded(name, votes, data):
    result = decide(name, votes, data.draw(terms_of(name)))
    assert 0.0 <= result.margin <= 1.0
    assert 0.0 <= result.score <= 1.0
    most = (len(NAMES) - 1) * math.fsum(abs(item.weight) for item in result.weights)
    assert all(abs(score) <= most + 1e-9 for score in result.tally.values())
    if result.posterior is not None:
        assert all(0.0 <= share <= 1.0 for share in result.posterior.values())
        assert math.fsum(result.posterior.values()) == pytest.approx(1.0)


@holding("not negative")
@quick
@given(votes=ballots, data=st.data())
def test_no_tally_is_negative(name, votes, data):
    assert all(score >= 0.0 for score in decide(name, votes, data.draw(terms_of(name))).tally.values())


@holding("bad confidence")
@quick
@given(
    votes=ballots,
    bad=st.one_of(st.floats(max_value=-1e-9), st.floats(min_value=1.0000001), st.just(math.nan)),
    data=st.data(),
)
def test_a_bad_confidence_is_as_if_absent(name, votes, bad, data):
    if not votes:
        return
    terms = data.draw(terms_of(name))
    broken = [Proposal.model_construct(**{**dict(votes[0]), "confidence": bad}), *votes[1:]]
    one, other = (decide(name, each, terms) for each in (votes[1:], broken))
    assert other.model_copy(update={"rejected": ()}) == one
    assert len(other.rejected) == 1


@holding("duplicates")
@quick
@given(votes=ballots, option=choices, confidence=confidences, data=st.data())
def test_a_second_vote_is_as_if_absent(name, votes, option, confidence, data):
    if not votes:
        return
    terms = data.draw(terms_of(name))
    twice = [*votes, proposal(votes[0].persona, option, confidence)]
    one, other = (decide(name, each, terms) for each in (votes[1:], twice))
    assert other.model_copy(update={"rejected": ()}) == one
    assert len(other.rejected) == 2


@holding("quorum")
@quick
@given(votes=ballots, over=st.integers(1, 12), under=st.integers(1, 12), least=st.integers(1, 7), data=st.data())
def test_quorum_is_exact_and_monotone(name, votes, over, under, least, data):
    over, under = sorted((over, under))
    rules = {"quorum": f"{over}/{under}", "min_casting": least}
    terms = data.draw(terms_of(name))
    result = decide(name, votes, terms, **rules)
    enough = len(votes) >= Fraction(over, under) * len(PANEL) and result.casting >= least
    assert (result.kind is not ResultKind.NO_QUORUM) == enough
    if enough and len(votes) < len(PANEL):
        more = [*votes, proposal(PANEL[-1], data.draw(choices), 0.5)]
        assert decide(name, more, terms, **rules).kind is not ResultKind.NO_QUORUM


@holding("veto")
@quick
@given(votes=ballots, target=st.sampled_from(NAMES), data=st.data())
def test_a_veto_changes_no_score(name, votes, target, data):
    if not votes:
        return
    terms = data.draw(terms_of(name))
    vetoed = [votes[0].model_copy(update={"veto": target}), *votes[1:]]
    one, other = (decide(name, each, terms) for each in (votes, vetoed))
    assert (one.tally, one.margin, one.posterior) == (other.tally, other.margin, other.posterior)
    blocked = one.kind is ResultKind.DECIDED and one.option == target
    assert other.kind == (ResultKind.BLOCKED if blocked else one.kind)


@holding("equal records")
@quick
@given(votes=ballots, rate=st.floats(0.4, 0.99))
def test_personas_that_are_alike_lead_as_in_plurality(name, votes, rate):
    alike = Terms(learned(dict.fromkeys(PANEL, rate), {}))
    assert decide(name, votes, alike).option == decide("plurality", votes).option


@holding("recomputed")
@settings(max_examples=20, deadline=None)
@given(rounds=heard_rounds, overdue=st.booleans(), data=st.data())
def test_the_explanation_recomputes_the_result(name, rounds, overdue, data):
    spec, given_, terms = spec_of(name), heard(rounds), data.draw(terms_of(name, thresholds=ANY))
    result = resolve(spec, OPTIONS, PANEL, given_, overdue, terms)
    explanation = explain(spec, OPTIONS, PANEL, given_, result, "", overdue, terms)
    assert recompute(json.loads(json.dumps(explanation, allow_nan=False))) == result


@holding("round limit")
@quick
@given(rounds=heard_rounds, overdue=st.booleans(), widened=st.booleans(), data=st.data())
def test_no_round_follows_the_last(name, rounds, overdue, widened, data):
    spec, given_, terms = spec_of(name, rounds=len(rounds)), heard(rounds), data.draw(terms_of(name, thresholds=ANY))
    result = resolve(spec, OPTIONS, PANEL, given_, overdue, terms)
    assert next_step(spec, OPTIONS, widened, given_, result, overdue).go != "again"
