"""The result follows from the explanation alone, whatever it was settled under."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.calibration import Certificate, Pool, PoolWeight
from domain.proposal import Evidence, Option, Proposal
from domain.task_type import CertifySpec, StrategySpec
from negotiation.explanation import explain, recompute
from negotiation.learned import Learned
from negotiation.rounds import resolve
from negotiation.settle import Terms
from negotiation.strategies import STRATEGIES

NAMES = ("a", "b", "c")
OPTIONS = tuple(Option(name=name, action=name) for name in NAMES)
PANEL = tuple(f"p{number}" for number in range(5))
STRANGERS = ("q0", "q1")
PARAMETERS = {"lead_decides": {"lead": ["p1", "p0"]}, "supermajority": {"theta": "3/5"}}
every_strategy = pytest.mark.parametrize("name", sorted(STRATEGIES))
reals = st.floats(-2.0, 2.0)
shares = st.floats(0.0, 1.0)


@st.composite
def proposals(draw, number):
    given_round = []
    for persona in draw(st.lists(st.sampled_from(PANEL), unique=True, max_size=5)):
        order = tuple(draw(st.permutations(NAMES)))[: draw(st.integers(0, 3))]
        option = order[0] if order else draw(st.sampled_from((*NAMES, None)))
        given_round.append(
            Proposal(
                persona=persona,
                persona_version=1,
                round=number,
                option=option,
                ranking=order,
                confidence=draw(shares),
                rationale="why",
                evidence=(Evidence(id=f"field:{persona}"),),
                cites=draw(st.sampled_from([(), ("field:p0", "field:p1")])),
                veto=draw(st.sampled_from([None, None, None, *NAMES])),
            )
        )
    return given_round


@st.composite
def terms(draw, rule):
    if draw(st.booleans()):
        return None if draw(st.booleans()) else Terms(None, draw(shares))
    known = draw(st.lists(st.sampled_from((*PANEL, *STRANGERS)), unique=True))
    weight = st.builds(PoolWeight, base=reals, slope=reals, centre=reals)
    pool = st.builds(
        Pool,
        weights=st.fixed_dictionaries({name: weight for name in known}),
        stranger=weight,
        scale=shares,
        ridge=shares,
        cases=st.just(60),
    )
    certificates = {
        name: Certificate(
            strategy=name,
            measure="posterior",
            alpha=draw(st.sampled_from([0.02, 0.05])),
            delta=0.1,
            threshold=draw(st.none() | st.floats(0.0, 1.0, exclude_min=True)),
            cases=200,
            reason="4 errors in 200",
        )
        for name in (rule, "another rule")
    }
    learned = Learned(
        version=7,
        rates={name: draw(st.floats(0.01, 0.99)) for name in known},
        mean_rate=0.6,
        pool=draw(st.none() | pool),
        certificates=draw(st.sampled_from([{}, certificates])),
        withdrawn=draw(st.sampled_from([None, "the audits raised an alarm"])),
        sources={name: "6 of 10" for name in known},
    )
    return Terms(learned, draw(st.none() | st.floats(0.0, 100.0)))


@every_strategy
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_the_result_follows_from_the_explanation(name, data):
    strategy = STRATEGIES[name]
    spec = StrategySpec(
        name=name,
        parameters=PARAMETERS.get(name, {}),
        quorum=data.draw(st.sampled_from(["1/100", "2/3"])),
        min_casting=1,
        escalate_below=data.draw(st.sampled_from([0.0, 0.3])),
        blocking_minority=data.draw(st.sampled_from([None, "1/3"])),
        certify=data.draw(st.sampled_from([None, CertifySpec(), CertifySpec(alpha=0.02, stake_limit=50)])),
    )
    rule = strategy.rule(strategy.Parameters.model_validate(spec.parameters))
    settled = data.draw(terms(rule))
    rounds = [data.draw(proposals(number)) for number in range(data.draw(st.integers(1, 3)))]
    overdue = data.draw(st.booleans())
    result = resolve(spec, OPTIONS, PANEL, rounds, overdue, settled)
    explanation = explain(spec, OPTIONS, PANEL, rounds, result, "step", overdue, settled)
    stored = json.loads(json.dumps(explanation, allow_nan=False))
    assert recompute(stored) == result
    assert "q0" not in json.dumps(stored["terms"])
    assert [turn["kind"] for turn in stored["rounds"]][-1] == result.kind
    assert (stored["conflict"] is None) == (len({item.option for item in result.weights} - {None}) < 2)
    assert all(row["met"] for row in stored["requirements"]) or result.kind != "decided"
