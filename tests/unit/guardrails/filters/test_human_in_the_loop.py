from typing import ClassVar, TypedDict

import pytest

from domain.errors import CatalogError
from domain.guard import Effect, Hop, Subject
from domain.guards_spec import GuardsSpec, HumanReviewSpec
from guardrails.filters.human_in_the_loop import HumanInTheLoop, build
from guardrails.gate import CedarGate


def _spec(*actions, **fields):
    return HumanReviewSpec(name="human_in_the_loop", actions=actions or ("approve",), **fields)


def _subject(action):
    return Subject(hop=Hop.ARGUMENTS, text='["approve",{},[]]', facts={"action": action})


async def test_it_asks_about_the_named_actions_alone():
    guard = HumanInTheLoop(_spec("approve"))
    finding = await guard.check(_subject("approve"))
    assert (finding.category, finding.score) == ("approval_required", 0.0)
    assert finding.reason == "middleware asks a person: approve, edit, reject"
    assert await guard.check(_subject("decline")) is None


async def test_the_decisions_that_are_offered_are_told():
    finding = await HumanInTheLoop(_spec(decisions=("approve", "reject"))).check(_subject("approve"))
    assert finding.reason == "middleware asks a person: approve, reject"


async def test_a_graph_that_it_is_called_in_is_not_interrupted_and_does_not_trace_it():
    from langchain_core.callbacks import BaseCallbackHandler
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.graph import START, StateGraph

    class State(TypedDict):
        reason: str

    guard = HumanInTheLoop(_spec())

    async def node(state: State) -> State:
        return {"reason": (await guard.check(_subject("approve"))).reason}

    class Tracer(BaseCallbackHandler):
        names: ClassVar[list[str]] = []

        def on_chain_start(self, *args, **kwargs):
            self.names.append(kwargs.get("name", ""))

    graph = StateGraph(State)
    graph.add_node("guard", node)
    graph.add_edge(START, "guard")
    config = {"configurable": {"thread_id": "t"}, "callbacks": [Tracer()]}
    result = await graph.compile(checkpointer=InMemorySaver()).ainvoke({"reason": ""}, config)
    assert result == {"reason": "middleware asks a person: approve, edit, reject"}
    assert "guard" in Tracer.names
    assert "review" not in Tracer.names


async def test_policy_asks_a_person_and_is_content_with_the_answer(gate, make_subject):
    judging = CedarGate(gate.task_type, gate.policies, {"human_in_the_loop": HumanInTheLoop(_spec("decline"))})
    verdict = await judging.judge(make_subject(Hop.ARGUMENTS))
    assert (verdict.effect, verdict.policy_ids) == (Effect.REQUIRE_APPROVAL, ("MID-001",))
    assert (await judging.judge(make_subject(Hop.ARGUMENTS, approved=True))).effect is Effect.ALLOW
    assert (await judging.judge(make_subject(Hop.ARGUMENTS, action="approve"))).effect is Effect.ALLOW


def test_an_action_that_the_task_type_does_not_have_is_told_with_its_place(make_task_type):
    guards = GuardsSpec(middleware=(_spec("approve", "aprove"),))
    with pytest.raises(CatalogError, match=r"an action of the task type \(approve, decline\), got 'aprove'") as caught:
        build(make_task_type(guards=guards))
    assert caught.value.path == "guards.middleware[0].actions[1]"
    assert caught.value.file.endswith("task_type.yaml")


def test_it_stands_at_no_hop_without_middleware(make_task_type):
    assert build(make_task_type()).hops == frozenset()
    assert build(make_task_type(guards=GuardsSpec(middleware=(_spec(),)))).hops == {Hop.ARGUMENTS}
