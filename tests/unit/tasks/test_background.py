"""What memory held, without its words, and without asking for what is at hand."""

from types import SimpleNamespace

from domain.decision import Result, ResultKind, Weight
from domain.memory import PersonaContext, Snapshot
from negotiation.background import Background, Recalled
from tasks.background import backgrounds, load_background
from tasks.ballots import RoundBallots

SEEN = PersonaContext(
    persona="ann",
    round=0,
    question="?",
    options=("approve", "decline"),
    working={"income": 1},
    episodes=(
        {"id": "m1", "text": "private words", "action": "approve", "outcome": "bad", "right": False},
        {"id": "m2", "text": "private words", "action": None},
        {"id": "m3", "text": "private words", "action": ["odd"], "right": "odd"},
    ),
    facts=({"id": "f1", "text": "private words"},),
    degraded="away",
)
FOUND = {
    "ann": Background(
        recalled=(
            Recalled(id="m1", kind="episodic", action="approve", right=False),
            Recalled(id="m2", kind="episodic"),
            Recalled(id="m3", kind="episodic"),
            Recalled(id="f1", kind="semantic"),
        ),
        degraded="away",
    )
}


class Work:
    """A unit of work that counts what it is asked."""

    def __init__(self, fence, stored=None):
        self.lease = SimpleNamespace(fence=fence, task_id="t")
        self.connection = self
        self.asked, self.flushed, self.stored = 0, 0, stored

    async def flush(self):
        self.flushed += 1

    async def execute(self, statement):
        self.asked += 1
        return SimpleNamespace(scalar_one_or_none=lambda: self.stored)


def result(*options):
    weights = tuple(Weight(persona=f"p{n}", option=each, weight=1.0, source="") for n, each in enumerate(options))
    return Result(
        kind=ResultKind.STALEMATE, option=None, margin=0.0, tally={}, weights=weights, dissent=(), rule="", round=0,
        reason="",
    )  # fmt: skip


def cast():
    snapshot = Snapshot(hash="h", task_id="t", subtask_id="s", round=0, contexts=(SEEN,))
    return RoundBallots(snapshot=snapshot, ballots=(), retrieved={})


def test_ids_and_how_they_turned_out_alone():
    found = backgrounds([SEEN])
    assert found == FOUND
    assert "private" not in found["ann"].model_dump_json()


async def test_a_round_just_cast_is_not_read_again():
    work = Work(fence=1)
    assert await load_background(work, "s", 0, cast(), result("approve", "decline")) == FOUND
    assert (work.asked, work.flushed) == (0, 0)


async def test_nobody_disagrees_nothing_is_read():
    work = Work(fence=2)
    assert await load_background(work, "s", 0, None, result("approve", "approve", None)) == {}
    assert work.asked == 0


async def test_a_resumed_round_is_read_from_what_was_stored():
    work = Work(fence=2, stored=[SEEN.model_dump(mode="json")])
    for ballots in (None, cast()):
        assert await load_background(work, "s", 0, ballots, result("approve", "decline")) == FOUND
    assert (work.asked, work.flushed) == (2, 2)


async def test_an_erased_snapshot_leaves_nothing():
    assert await load_background(Work(fence=2), "s", 0, None, result("approve", "decline")) == {}
