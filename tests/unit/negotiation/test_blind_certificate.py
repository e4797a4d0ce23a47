"""A certified threshold holds for the blind vote; what a debate ends with goes to a person."""

from domain.calibration import Certificate
from domain.decision import ResultKind
from domain.task_type import CertifySpec, StrategySpec
from negotiation.explanation import as_markdown, explain, recompute
from negotiation.learned import Learned
from negotiation.rounds import Terms, resolve

PANEL = ["ann", "bob", "cyd"]
CERTIFICATE = Certificate(
    strategy="plurality", measure="margin", alpha=0.05, delta=0.1, threshold=0.3, cases=100, reason="held on 100 cases"
)
TERMS = Terms(learned=Learned(version=3, rates={}, mean_rate=0.7, certificates={"plurality": CERTIFICATE}))
CERTIFIED = StrategySpec(name="plurality", certify=CertifySpec())


def _held(vote, option, rounds):
    return [
        [vote(name, option, round=number, cites=("field:ann", "field:bob")) for name in PANEL]
        for number in range(rounds)
    ]


def test_the_blind_vote_decides_and_later_rounds_do_not(vote, options):
    blind = resolve(CERTIFIED, options, PANEL, _held(vote, "approve", 1), terms=TERMS)
    debated = resolve(CERTIFIED, options, PANEL, _held(vote, "approve", 2), terms=TERMS)
    assert (blind.kind, debated.kind) == (ResultKind.DECIDED, ResultKind.BELOW_THRESHOLD)
    assert debated.option == "approve"
    assert (blind.certified, debated.certified) == (0.3, None), "it does not hold behind a debate"
    assert debated.reason == (
        "approve leads; the threshold is certified for the blind vote; "
        "round 1's goes to a person with what the debate brought"
    )


def test_without_certification_later_rounds_decide(vote, options):
    free = StrategySpec(name="plurality")
    assert resolve(free, options, PANEL, _held(vote, "approve", 2), terms=TERMS).kind is ResultKind.DECIDED


def test_what_withdraws_the_certificate_is_said_first(vote, options):
    withdrawn = Terms(learned=Learned(version=3, rates={}, mean_rate=0.7, withdrawn="persona bob is new"))
    result = resolve(CERTIFIED, options, PANEL, _held(vote, "approve", 2), terms=withdrawn)
    assert result.reason == "approve leads, and a person decides: persona bob is new"


def test_no_threshold_is_held_up_to_a_debate(vote, options):
    rounds = _held(vote, "approve", 2)
    result = resolve(CERTIFIED, options, PANEL, rounds, terms=TERMS)
    told = explain(CERTIFIED, options, PANEL, rounds, result, "step", terms=TERMS)
    [row] = [row for row in told["requirements"] if row["measure"] == "certified margin"]
    assert (row["value"], row["threshold"], row["distance"], row["met"]) == (1.0, None, None, False)
    assert "Certified for the blind vote: a margin of at least 0.3" in as_markdown(told)
    assert not any("at least 0.3" in line for line in told["would_have_changed"])
    assert recompute(told) == result
