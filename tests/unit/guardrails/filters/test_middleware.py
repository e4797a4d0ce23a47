import pytest

from domain.guard import Effect, Hop, Subject
from domain.guards_spec import GuardsSpec, PiiMiddlewareSpec
from guardrails.filters.middleware import Middleware, build
from guardrails.gate import CedarGate
from tests.unit.guardrails.filters.growth import growth

EMAIL, CARD = "john@example.com", "4111-1111-1111-1111"
TEXT = f"ask {EMAIL} about {CARD}"


def _middleware(*specs):
    return Middleware([PiiMiddlewareSpec(name="pii", types=types, strategy=strategy) for types, strategy in specs])


def _check(guard, text=TEXT):
    return guard.check(Subject(hop=Hop.RESPONSE, text=text))


def test_what_it_blocks_scores_highest():
    finding = _check(_middleware((("email",), "block")))
    assert (finding.category, finding.score) == ("blocked", 1.0)
    assert finding.reason == "middleware blocks email (1)"
    assert [TEXT[start:end] for start, end in finding.spans] == [EMAIL]


@pytest.mark.parametrize("strategy", ["redact", "mask", "hash"])
def test_what_it_rewrites_scores_less_and_is_told_with_its_places(strategy):
    finding = _check(_middleware((("email", "credit_card"), strategy)))
    assert (finding.category, finding.score) == ("rewritten", 0.5)
    assert finding.reason == "middleware rewrites credit_card (1), rewrites email (1)"
    assert [TEXT[start:end] for start, end in finding.spans] == [EMAIL, CARD]
    assert not any(part in finding.model_dump_json() for part in ("john", "1111"))


@pytest.mark.parametrize(
    ("strategy", "email", "card"),
    [
        ("redact", "[REDACTED_EMAIL]", "[REDACTED_CREDIT_CARD]"),
        ("mask", "john@****.com", "****-****-****-1111"),
        ("hash", "<email_hash:855f96e9>", "<credit_card_hash:"),
        ("block", "<redacted middleware>", "<redacted middleware>"),
    ],
)
def test_each_strategy_says_what_stands_in_its_place(strategy, email, card):
    guard = _middleware((("email", "credit_card"), strategy))
    rewritten = guard.rewrite(TEXT)
    assert rewritten.startswith(f"ask {email} about {card}")
    assert _check(guard, rewritten) is None


def test_several_are_run_in_their_order():
    guard = _middleware((("email",), "mask"), (("ip",), "block"))
    finding = _check(guard, f"{EMAIL} at 8.8.8.8")
    assert (finding.score, finding.reason) == (1.0, "middleware blocks ip (1), rewrites email (1)")
    assert guard.rewrite(f"{EMAIL} at 8.8.8.8") == "john@****.com at <redacted middleware>"


def test_it_does_to_a_text_what_it_does_in_an_agent():
    from langchain.agents.middleware import PIIMiddleware
    from langchain_core.messages import HumanMessage
    from langgraph.runtime import Runtime

    text = "a@b.io, aa:bb:cc:dd:ee:ff, https://a.b/c and 8.8.8.8"
    for kind in ("email", "mac_address", "url", "ip"):
        for strategy in ("redact", "mask", "hash"):
            agents = PIIMiddleware(kind, strategy=strategy).before_model({"messages": [HumanMessage(text)]}, Runtime())
            assert _middleware(((kind,), strategy)).rewrite(text) == agents["messages"][-1].content


def test_the_types_are_those_of_the_package():
    from langchain.agents.middleware._redaction import BUILTIN_DETECTORS

    known = PiiMiddlewareSpec.model_json_schema()["properties"]["types"]["items"]["enum"]
    assert set(known) == set(BUILTIN_DETECTORS)


@pytest.mark.parametrize("before", [0, 790, 980, 995, 1795, 4000])
def test_it_is_seen_wherever_it_stands_in_a_long_text(before):
    text = "x" * before + " https://example.org/" + "y" * 500 + " end"
    assert _middleware((("url",), "mask")).rewrite(text) == "x" * before + " [MASKED_URL] end"


def test_ordinary_text_is_not_seen():
    guard = _middleware((("email", "credit_card", "ip", "mac_address", "url"), "block"))
    assert _check(guard, "income covers the rate of 12.5 % over 36 months") is None


def test_it_stands_at_no_hop_without_middleware(make_task_type):
    assert build(make_task_type()).hops == frozenset()
    spec = PiiMiddlewareSpec(name="pii", types=("email",))
    assert build(make_task_type(guards=GuardsSpec(middleware=(spec,)))).hops == frozenset(Hop)


@pytest.mark.parametrize(("strategy", "effect"), [("block", Effect.DENY), ("mask", Effect.REDACT)])
async def test_the_gate_denies_what_it_blocks_and_redacts_as_it_rewrites(gate, make_subject, strategy, effect):
    judging = CedarGate(gate.task_type, gate.policies, {"middleware": _middleware((("email",), strategy))})
    subject = make_subject(Hop.RESPONSE, EMAIL)
    verdict = await judging.judge(subject)
    assert verdict.effect is effect
    if effect is Effect.REDACT:
        assert await judging.redacted({"to": [EMAIL]}, subject, verdict) == {"to": ["john@****.com"]}


@pytest.mark.parametrize("kind", ["email", "url", "ip", "credit_card"])
@pytest.mark.parametrize("part", ["a.", "1-", "a@", "http://"])
def test_the_time_grows_in_step_with_the_text(kind, part):
    guard = _middleware(((kind,), "redact"))
    guard.prepare()
    assert growth(lambda text: _check(guard, text), part) < 24
