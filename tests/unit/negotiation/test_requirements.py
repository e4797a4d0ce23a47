"""What had to be reached, and by how much it was, by hand."""

import pytest

from domain.calibration import Certificate
from domain.task_type import CertifySpec, StrategySpec
from negotiation.explanation import as_markdown, explain
from negotiation.learned import Learned
from negotiation.rounds import resolve
from negotiation.settle import Terms

PANEL = ["ann", "bob", "cyd"]


def learned(threshold, rule="log_odds", withdrawn=None):
    certificate = Certificate(
        strategy=rule,
        measure="posterior",
        alpha=0.05,
        delta=0.1,
        threshold=threshold,
        cases=200,
        reason="5 of 200 wrong",
    )
    return Learned(4, dict.fromkeys(PANEL, 0.75), 0.75, certificates={rule: certificate}, withdrawn=withdrawn)


@pytest.fixture
def told(options, vote):
    def tell(spec, terms=None, votes=("approve", "approve", "decline")):
        given = [vote(persona, option) for persona, option in zip(PANEL, votes, strict=True)]
        result = resolve(spec, options, PANEL, [given], terms=terms)
        return explain(spec, options, PANEL, [given], result, "", terms=terms)

    return tell


def row(explanation, measure):
    [found] = [each for each in explanation["requirements"] if each["measure"] == measure]
    return found


@pytest.mark.parametrize(("threshold", "kind"), [(0.7, "decided"), (0.9, "below_threshold")])
def test_the_certified_score(told, threshold, kind):
    # Odds (2 * 0.75 / 0.25) = 6 a vote, over three options: 36 to 6 to 1.
    explanation = told(StrategySpec(name="log_odds", certify=CertifySpec()), Terms(learned(threshold)))
    found = row(explanation, "certified posterior")
    assert explanation["result"]["kind"] == kind
    assert found["value"] == pytest.approx(36 / 43)
    assert found["distance"] == pytest.approx(36 / 43 - threshold)
    assert found["met"] == (kind == "decided")
    assert explanation["certificate"]["reason"] == "5 of 200 wrong"
    assert explanation["certificate"]["calibration"] == 4


def test_the_stake_against_its_limit(told):
    spec = StrategySpec(name="log_odds", certify=CertifySpec(stake_limit=1000.0))
    within, over, unknown = (told(spec, Terms(learned(0.7), stake)) for stake in (400.0, 1500.0, None))
    assert [row(each, "stake")["distance"] for each in (within, over, unknown)] == [600.0, -500.0, None]
    assert [each["result"]["kind"] for each in (within, over, unknown)] == ["decided", *["below_threshold"] * 2]
    assert "more than 1000 at stake, where it is 400: a person decides" in within["would_have_changed"]
    assert "at most 1000 at stake: decided for approve" in over["would_have_changed"]


def test_nothing_certified_is_said_in_words(told):
    terms = Terms(learned(0.7, withdrawn="the audits raised an alarm"))
    explanation = told(StrategySpec(name="log_odds", certify=CertifySpec()), terms)
    assert explanation["certificate"]["reason"] == "the audits raised an alarm"
    assert row(explanation, "certified posterior")["distance"] is None
    assert not [line for line in explanation["would_have_changed"] if "posterior" in line]
    assert "Nothing is certified" in as_markdown(explanation)


def test_what_was_counted_instead(told):
    explanation = told(StrategySpec(name="log_odds"))
    assert explanation["counted_instead"] == "no calibration is active"
    assert "Plurality was counted in place of log_odds: no calibration is active." in as_markdown(explanation)
    assert told(StrategySpec(name="plurality"))["counted_instead"] is None


def test_votes_that_are_too_few_are_not_met_at_the_very_share(told):
    explanation = told(StrategySpec(name="unanimity"))
    found = row(explanation, "share")
    assert (found["value"], found["threshold"], found["met"]) == (pytest.approx(2 / 3), 1.0, False)
    assert f"enough votes ({found['lacks']}): decided for approve" in explanation["would_have_changed"]


@pytest.mark.parametrize(("share", "blocks"), [("1/3", True), ("1/2", False)])
def test_who_blocks(told, share, blocks):
    explanation = told(StrategySpec(name="plurality", blocking_minority=share))
    found = explanation["blocking"]
    assert (found["option"], found["against"], found["blocks"]) == ("approve", ["cyd"], blocks)
    assert found["needed"] == (1 if blocks else 2)
    assert (explanation["result"]["kind"] == "blocked") is blocks
    assert ("they block it" in as_markdown(explanation)) is blocks
    assert told(StrategySpec(name="plurality"))["blocking"] is None
