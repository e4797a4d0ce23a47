"""What another ballot would have given: against every ballot tried in turn, and against figures worked out by hand."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.calibration import Certificate, Pool, PoolWeight
from domain.task_type import CertifySpec, StrategySpec
from negotiation.counterfactuals import STEPS, Scene, away, lifted, surer, switches
from negotiation.learned import Learned
from negotiation.settle import Terms, judge
from negotiation.strategies import STRATEGIES
from negotiation.votes import Ballot, Veto, Vote

NAMES = ("a", "b", "c")
PARAMETERS = {"lead_decides": {"lead": "p1"}}
every_strategy = pytest.mark.parametrize("name", sorted(STRATEGIES))


def scene_of(spec, votes, vetoes=(), terms=None, eligible=None):
    ballot = Ballot(tuple(votes), tuple(vetoes), (), eligible or tuple(vote.persona for vote in votes), 0)
    return Scene(spec, NAMES, ballot, terms, judge(spec, NAMES, ballot, terms))


def known(rule, slopes, threshold=0.6):
    pool = Pool(
        weights={f"p{i}": PoolWeight(base=0.4, slope=slope, centre=0.2) for i, slope in enumerate(slopes)},
        stranger=PoolWeight(base=0.4, slope=0.1, centre=0.2),
        scale=0.7,
        ridge=1.0,
        cases=80,
    )
    certificate = Certificate(
        strategy=rule, measure="posterior", alpha=0.05, delta=0.1, threshold=threshold, cases=100, reason="held"
    )
    return Learned(2, {"p0": 0.8, "p1": 0.7, "p2": 0.6}, 0.65, pool, {rule: certificate})


def confidence_weighted(*votes):
    return scene_of(StrategySpec(name="confidence_weighted"), [Vote(*vote, round=0) for vote in votes])


def test_the_nearest_confidence_by_hand():
    # 0.7 + 0.6 for a against 0.9 for b: ann ties at 0.3 and loses below it, bob ties at 0.2; cyd needs 1.3.
    scene = confidence_weighted(("ann", "a", 0.7), ("bob", "a", 0.6), ("cyd", "b", 0.9))
    counts, turns = surer(scene)
    assert counts
    assert [(turn.persona, turn.confidence, turn.found.kind) for turn in turns] == [
        ("ann", 0.3, "stalemate"),
        ("bob", 0.2, "stalemate"),
    ]


def test_no_confidence_flips_what_is_unanimous():
    assert surer(confidence_weighted(("ann", "a", 0.7), ("bob", "a", 0.6))) == (True, ())


def test_pivotal_and_switches_by_hand():
    scene = confidence_weighted(("ann", "a", 0.5), ("bob", "a", 0.6), ("cyd", "b", 0.65))
    assert [(turn.persona, turn.found.kind, turn.found.option) for turn in away(scene)] == [
        ("ann", "decided", "b"),
        ("bob", "decided", "b"),
    ]
    found = {(turn.persona, turn.option): (turn.found.kind, turn.found.option) for turn in switches(scene)}
    assert found == {(name, option): ("decided", "b") for name in ("ann", "bob") for option in ("b", "c", None)}


def test_a_lifted_veto():
    votes = [Vote("ann", "a", 0.5, 0), Vote("bob", "a", 0.5, 0)]
    vetoes = [Veto("ann", "a"), Veto("bob", "b")]
    scene = scene_of(StrategySpec(name="plurality"), votes, vetoes)
    assert [(turn.persona, turn.found.kind, turn.found.option) for turn in lifted(scene)] == [("ann", "decided", "a")]


def test_a_ranking_follows_its_changed_vote():
    votes = [Vote("ann", "a", 0.5, 0, "", ("a", "b", "c")), Vote("bob", "b", 0.5, 0, "", ("b", "c", "a"))]
    # ann puts c first and keeps a, b behind it: 3 points for c, 2 for b, 1 for a.
    scene = scene_of(StrategySpec(name="borda"), votes)
    [turn] = [turn for turn in switches(scene) if (turn.persona, turn.option) == ("ann", "c")]
    assert turn.found.counted.count.tally == {"a": 1.0, "b": 2.0, "c": 3.0}


def test_both_leaders_vetoed_is_the_same_result():
    votes = [Vote("ann", "a", 0.7, 0), Vote("bob", "b", 0.5, 0), Vote("cyd", "c", 0.6, 0)]
    vetoes = [Veto("ann", "b"), Veto("bob", "a")]
    spec = StrategySpec(name="confidence_weighted")
    scene = scene_of(spec, votes, vetoes)
    near = {turn.persona: (turn.confidence, turn.found.kind) for turn in surer(scene)[1]}
    assert near["ann"] == (0.6, "stalemate")
    assert near["cyd"] == (0.7, "stalemate")


@every_strategy
@settings(max_examples=12, deadline=None)
@given(
    chosen=st.lists(st.tuples(st.sampled_from((*NAMES, None)), st.floats(0.0, 1.0)), min_size=1, max_size=3),
    slopes=st.lists(st.floats(-1.5, 1.5), min_size=3, max_size=3),
    vetoed=st.sampled_from([(), ("a",), ("a", "b")]),
    blocking=st.sampled_from([None, "1/2"]),
    certify=st.sampled_from([None, CertifySpec()]),
    escalate_below=st.sampled_from([0.0, 0.2]),
)
def test_the_nearest_confidence_is_the_nearest_of_all(name, chosen, slopes, vetoed, blocking, certify, escalate_below):
    spec = StrategySpec(
        name=name,
        parameters=PARAMETERS.get(name, {}),
        min_casting=1,
        blocking_minority=blocking,
        certify=certify,
        escalate_below=escalate_below,
    )
    strategy = STRATEGIES[name]
    rule = strategy.rule(strategy.Parameters.model_validate(spec.parameters))
    votes = [Vote(f"p{number}", *each, round=0) for number, each in enumerate(chosen)]
    vetoes = [Veto(f"p{number}", option) for number, option in enumerate(vetoed)]
    scene = scene_of(spec, votes, vetoes, Terms(known(rule, slopes)))
    counts, turns = surer(scene)
    found = {turn.persona: turn.confidence for turn in turns}
    for vote in votes:
        flips = [] if vote.option is None else list(_flips(scene, vote))
        assert (vote.persona in found) == bool(flips)
        if flips:
            assert abs(found[vote.persona] - vote.confidence) == min(abs(at - vote.confidence) for at in flips)
    assert counts or not turns


def _flips(scene, vote, every=20):
    """Every confidence that gives another result, on a coarser grid, and step by step around what was found."""
    turns = {turn.persona: turn for turn in surer(scene)[1]}
    steps = set(range(0, STEPS + 1, every))
    if vote.persona in turns:
        step = round(turns[vote.persona].confidence * STEPS)
        steps |= set(range(max(0, step - every), min(STEPS, step + every) + 1))
    for step in sorted(steps):
        changed = tuple(replace(each, confidence=step / STEPS) if each is vote else each for each in scene.ballot.votes)
        if scene.differs(scene.look(replace(scene.ballot, votes=changed))):
            yield step / STEPS


@every_strategy
@settings(max_examples=40, deadline=None)
@given(chosen=st.lists(st.tuples(st.sampled_from((*NAMES, None)), st.floats(0.0, 1.0)), min_size=1, max_size=5))
def test_every_claim_is_what_that_ballot_gives(name, chosen):
    spec = StrategySpec(name=name, parameters=PARAMETERS.get(name, {}), min_casting=1, quorum="1/2")
    votes = [Vote(f"p{number}", *each, round=0) for number, each in enumerate(chosen)]
    scene = scene_of(spec, votes, terms=Terms(known(name, [0.1, 0.2, 0.3])))
    claimed = {(turn.persona, turn.option): turn.found.kind for turn in switches(scene)}
    for vote in votes:
        for option in (*NAMES, None):
            changed = [replace(each, option=option) if each is vote else each for each in votes]
            other = judge(spec, NAMES, replace(scene.ballot, votes=tuple(changed)), scene.terms)
            differs = (other.kind, other.option) != (scene.found.kind, scene.found.option)
            assert claimed.get((vote.persona, option)) == (other.kind if differs else None)
