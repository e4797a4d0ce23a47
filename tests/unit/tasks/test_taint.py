"""Where an action's grounds come from, over the subtasks that it depends on."""

from datetime import timedelta

from domain.task_type import ActionSpec, ContextContract, PlanSpec, Sla, StrategySpec, SubtaskSpec, TaskType
from tasks.taint import provenance

FIELDS = {"amount": {"type": "number"}, "note": {"type": "string"}, "kind": {"type": "string", "enum": ["a", "b"]}}


def _subtask(name: str, *working: str, after: tuple[str, ...] = (), episodic: int = 0) -> SubtaskSpec:
    return SubtaskSpec(
        id=name,
        question="?",
        panel=("one",),
        actions=(ActionSpec(name="go"),),
        context=ContextContract(working=working, episodic=episodic),
        strategy=StrategySpec(name="plurality"),
        executor="record_decision",
        depends_on=after,
    )


def _kind(*subtasks: SubtaskSpec) -> TaskType:
    return TaskType(
        name="t",
        version=1,
        payload_schema={"type": "object", "properties": FIELDS},
        answer=subtasks[0].id,
        sla=Sla(deadline=timedelta(minutes=1)),
        plan=PlanSpec(subtasks=subtasks),
    )


PAYLOAD = {"amount": 3, "note": "as one likes", "kind": "a"}


def test_an_action_rests_on_what_every_panel_before_it_saw() -> None:
    read = _subtask("read", "note", episodic=2)
    kind = _kind(read, _subtask("pay", "amount", after=("read",)), _subtask("apart", "amount", "kind"))
    assert provenance(kind, kind.subtask("pay"), PAYLOAD) == ["fields", "memory", "payload"]
    assert provenance(kind, kind.subtask("apart"), PAYLOAD) == ["fields"]


def test_a_field_that_is_not_given_is_no_source() -> None:
    kind = _kind(_subtask("read", "note"))
    assert provenance(kind, kind.subtask("read"), {"amount": 3}) == []
