"""The gate as stages use it: beside the event loop, within a time limit, and with what follows from a verdict."""

import asyncio
import json
import threading
import time

import pytest

from domain.guard import Effect, Finding, Hop
from guardrails.examples import check_platform
from guardrails.gate import CedarGate, load_gate

PERMIT = '@id("P") permit (principal, action, resource);\n'


class Filter:
    """A filter that does what the test says."""

    version = "1"
    hops = frozenset(Hop)

    def __init__(self, guard_id, answer):
        self.id, self.answer, self.calls = guard_id, answer, 0

    def check(self, subject):
        self.calls += 1
        return self.answer(subject)


class Asking(Filter):
    time_limit = 0.2

    async def check(self, subject):
        self.calls += 1
        return await self.answer(subject)


def finding(guard_id, score=1.0, category="c", spans=()):
    return Finding(guard_id=guard_id, version="1", category=category, score=score, reason="r", spans=spans)


def _with(gate, *guards, **options):
    return CedarGate(gate.task_type, gate.policies, {guard.id: guard for guard in guards}, **options)


@pytest.fixture
def permissive(tmp_path, make_task_type):
    """The platform's policies over a type that permits everything, and what a test adds."""

    def build(*texts, **fields):
        (tmp_path / "policies.cedar").write_text(PERMIT + "".join(texts), encoding="utf-8")
        return load_gate(make_task_type(tmp_path, **fields))

    return build


def test_the_platform_agrees_with_its_examples():
    assert check_platform() == []


async def test_a_filter_that_hangs_never_leads_to_an_allow(gate, make_subject):
    release = threading.Event()
    hanging = Filter("injection", lambda _: release.wait(30) and None)
    judging = _with(gate, Filter("secrets", lambda _: None), hanging, limit_seconds=0.1)
    started = time.monotonic()
    try:
        for hop in Hop:
            verdict = await judging.judge(make_subject(hop))
            assert verdict.effect in (Effect.DENY, Effect.REQUIRE_APPROVAL), hop
            assert [(one.guard_id, one.error) for one in verdict.findings] == [("injection", "TimeoutError")]
            assert verdict.policy_ids == ("GUARD-001" if hop is Hop.ARGUMENTS else "GUARD-002",)
        assert time.monotonic() - started < 5
    finally:
        release.set()


async def test_those_who_wait_behind_one_that_hangs_are_judged_too(gate, make_subject):
    release = threading.Event()
    judging = _with(gate, Filter("injection", lambda _: release.wait(30) and None), limit_seconds=0.1)
    try:
        subjects = [make_subject(Hop.INPUT, f"text {number}") for number in range(5)]
        effects = {verdict.effect for verdict in await asyncio.gather(*map(judging.judge, subjects))}
        assert effects == {Effect.DENY}
    finally:
        release.set()


async def test_the_event_loop_stays_free_while_filters_look(gate, make_subject):
    judging = _with(gate, Filter("secrets", lambda _: time.sleep(0.3)))
    looking = asyncio.create_task(judging.judge(make_subject(Hop.INPUT)))
    ticks = 0
    while not looking.done():
        await asyncio.sleep(0.01)
        ticks += 1
    assert ticks > 5


@pytest.mark.parametrize("how", ["hangs", "raises", "scores out of range"])
async def test_one_that_asks_and_fails_counts_as_failed(gate, make_subject, how):
    async def answer(_):
        if how == "hangs":
            await asyncio.sleep(30)
        if how == "raises":
            raise RuntimeError("away")
        return finding("judge", float("nan"))

    verdict = await _with(gate, Asking("judge", answer)).judge(make_subject(Hop.ARGUMENTS))
    assert (verdict.effect, verdict.policy_ids) == (Effect.REQUIRE_APPROVAL, ("GUARD-001",))
    assert verdict.findings[0].error is not None


async def test_a_text_is_read_once_and_an_error_is_not_kept(gate, make_subject):
    answers = iter([RuntimeError("once"), None])

    def answer(_):
        given = next(answers, None)
        if given is not None:
            raise given

    guard = Filter("secrets", answer)
    judging = _with(gate, guard)
    subject = make_subject(Hop.INPUT, "the same text")
    effects = [(await judging.judge(subject)).effect for _ in range(4)]
    assert effects == [Effect.DENY, Effect.ALLOW, Effect.ALLOW, Effect.ALLOW]
    assert guard.calls == 2


async def test_nothing_waits_for_the_thread_where_every_text_was_read_before(gate, make_subject):
    guard = Filter("secrets", lambda _: None)
    judging = _with(gate, guard, limit_seconds=0.1)
    known, unknown = make_subject(Hop.INPUT, "known"), make_subject(Hop.INPUT, "unknown")
    assert (await judging.judge(known)).effect is Effect.ALLOW
    release = threading.Event()
    guard.answer = lambda _: release.wait(30) and None
    try:
        assert (await judging.judge(known)).effect is Effect.ALLOW
        # One that was not read is looked at, and those beside it with it.
        assert {one.effect for one in await judging.judge_all([known, unknown])} == {Effect.ALLOW, Effect.DENY}
    finally:
        release.set()


async def test_an_obligation_attaches_to_what_is_permitted_and_permits_nothing(gate, make_subject, permissive):
    marked = Filter("injection", lambda _: finding("injection", 0.9))
    verdict = await _with(permissive(), marked).judge(make_subject(Hop.RETRIEVED))
    assert (verdict.effect, verdict.tainted, verdict.policy_ids) == (Effect.ALLOW, True, ("TAINT-001", "P"))
    alone = permissive('@id("F") @effect("deny") @reason("r") @owner("o") forbid (principal, action, resource);')
    assert not (await _with(alone, marked).judge(make_subject(Hop.RETRIEVED))).tainted


def test_an_obligation_alone_is_no_permission(tmp_path, make_task_type, make_subject):
    (tmp_path / "policies.cedar").write_text('@id("P") permit (principal, action == Action::"input", resource);')
    judging = load_gate(make_task_type(tmp_path))
    verdict = judging.rule(make_subject(Hop.RETRIEVED), [finding("injection")])
    assert (verdict.effect, verdict.reasons) == (Effect.DENY, ("no policy permits this",))


def test_a_denial_is_overridable_where_every_denying_policy_says_so(permissive, make_subject):
    deny = (
        '@id("{}") @effect("deny") @reason("r") @owner("o") {} '
        'forbid (principal, action == Action::"input", resource);\n'
    )
    one, other = deny.format("A", '@override("operator")'), deny.format("B", '@override("operator")')
    subject = make_subject(Hop.INPUT)
    assert permissive(one, other).judge_here(subject).overridable_by == "operator"
    assert permissive(one, deny.format("B", "")).judge_here(subject).overridable_by is None
    assert permissive(one, deny.format("B", '@override("admin")')).judge_here(subject).overridable_by is None
    halt = deny.format("C", "").replace('"deny"', '"halt"')
    assert permissive(one, halt).judge_here(subject).overridable_by is None


async def test_redaction_takes_out_what_filters_saw_leaf_by_leaf(gate, make_subject):
    def card(subject):
        at = subject.text.find("4111")
        return finding("pii", spans=((at, at + 4),)) if at >= 0 else None

    judging = _with(gate, Filter("pii", card))
    value = {"note": "card 4111 and 4111", "list": ["4111", 4111, None], "deep": {"4111": "x"}}
    subject = make_subject(Hop.RESPONSE, "4111")
    verdict = await judging.judge(subject)
    assert (verdict.effect, verdict.redact) == (Effect.REDACT, ("pii", "presidio"))
    mark = "<redacted pii>"
    # A field's name is not a text: what is left in it is found when it is judged again.
    assert await judging.redacted(value, subject, verdict) == {
        "note": f"card {mark} and {mark}",
        "list": [mark, 4111, None],
        "deep": {"4111": "x"},
    }


async def test_a_text_that_never_gets_clean_is_taken_out_whole(gate, make_subject):
    judging = _with(gate, Filter("pii", lambda _: finding("pii", spans=((0, 1),))))
    subject = make_subject(Hop.RESPONSE, "x")
    assert await judging.redacted("abc", subject, await judging.judge(subject)) == "<redacted pii>"


async def test_the_name_of_its_field_can_give_a_text_away(gate, make_subject):
    value = {"phone": "5551234567", "password": ["hunter22"], "4111111111111111": "4111111111111111", "job": "fixed"}
    subject = make_subject(Hop.ARGUMENTS)
    verdict = gate.judge_here(subject)
    assert await gate.redacted(value, subject, verdict) == {
        "phone": "<redacted pii>",
        "password": ["<redacted secrets>"],
        "4111111111111111": "<redacted pii>",
        "job": "fixed",
    }


async def test_what_stands_in_its_place_is_not_seen_again(gate, make_subject):
    value = {"phone": "5551234567", "password": "hunter22", "api_key": "hunter33", "card": "4111111111111111"}
    subject = make_subject(Hop.ARGUMENTS, json.dumps(value))
    verdict = gate.judge_here(subject)
    assert {one.guard_id for one in verdict.findings} == {"pii", "secrets", "leaving_secrets"}
    redacted = await gate.redacted(value, subject, verdict)
    assert gate.judge_here(make_subject(Hop.ARGUMENTS, json.dumps(redacted))).findings == ()


async def test_a_filter_says_itself_what_stands_in_place_of_what_it_found(gate, make_subject):
    rewriting = Filter("middleware", lambda _: finding("middleware", 0.5))
    rewriting.rewrite = lambda text: text.replace("secret", "s****t")
    judging = _with(gate, rewriting)
    subject = make_subject(Hop.RESPONSE, "x")
    assert await judging.redacted({"a": "a secret"}, subject, await judging.judge(subject)) == {"a": "a s****t"}


async def test_what_filters_load_once_does_not_count_against_their_time(gate, make_subject):
    slow = Filter("secrets", lambda _: None)
    slow.loads = 0

    def prepare():
        slow.loads += 1
        time.sleep(0.3)

    slow.prepare = prepare
    judging = _with(gate, slow, limit_seconds=0.1)
    for _ in range(2):
        verdict = await judging.judge(make_subject(Hop.INPUT))
        assert (verdict.effect, verdict.findings) == (Effect.ALLOW, ())
    assert slow.loads == 1


async def test_a_filter_that_cannot_load_fails_when_it_looks(gate, make_subject):
    broken = Filter("secrets", lambda _: 1 / 0)
    broken.prepare = lambda: 1 / 0
    verdict = await _with(gate, broken).judge(make_subject(Hop.INPUT))
    assert (verdict.effect, verdict.findings[0].error) == (Effect.DENY, "ZeroDivisionError")


def test_downgrade_names_a_declared_action(permissive, make_subject):
    downgrade = (
        '@id("D") @effect("downgrade") @downgrade_to("{}") @reason("r") @owner("o") '
        'forbid (principal, action == Action::"arguments", resource);\n'
    )
    verdict = permissive(downgrade.format("decline")).judge_here(make_subject(Hop.ARGUMENTS, action="approve"))
    assert (verdict.effect, verdict.downgrade_to) == (Effect.DOWNGRADE, "decline")
    with pytest.raises(Exception, match="policy D: @downgrade_to, an action of the task type"):
        permissive(downgrade.format("declne"))
