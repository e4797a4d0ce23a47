"""The gate's benchmark measures what it says: so many policies, every filter, texts that were not read before."""

from pathlib import Path

import pytest

from bench import gate as bench
from catalog.load import load_catalog
from domain.guard import Effect, Hop
from domain.settings import ROOT
from guardrails.filters import FILTERS
from tasks.executors import EXECUTORS

ASKED_OR_CHOSEN = {"presidio", "middleware", "human_in_the_loop", "judge"}


@pytest.fixture(scope="module")
def kind():
    return load_catalog(ROOT / "pilots", EXECUTORS).task_type(bench.PILOT)


@pytest.mark.parametrize("size", bench.SIZES)
def test_its_gate_has_every_core_filter_at_one_hop_and_allows(kind, tmp_path: Path, size: int):
    gate = bench.gate_of(kind, tmp_path, size)
    assert set(gate.guards) == set(FILTERS) - ASKED_OR_CHOSEN
    assert all(Hop.ARGUMENTS in guard.hops for guard in gate.guards.values())
    [subject] = bench.subjects(["a short text"], 100)
    verdict = gate.judge_here(subject)
    assert (verdict.effect, verdict.policy_ids) == (Effect.ALLOW, ("PERMIT",))


def test_its_texts_are_distinct_and_of_one_kilobyte():
    made = bench.texts(20, 1)
    assert len(set(made)) == 20
    assert {len(text) for text in made} == {bench.CHARACTERS}
    assert made == bench.texts(20, 1) != bench.texts(20, 2)


async def test_every_figure_is_measured(kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bench, "TEXTS", 4)
    monkeypatch.setattr(bench, "ROUNDS", 1)
    found = await bench.verdicts(kind, tmp_path)
    assert set(found) == {f"{what}_{size}" for what in ("bare_cedar", "verdicts", "cached") for size in bench.SIZES}
    assert all(value > 0 for value in found.values())
    gate = bench.gate_of(kind, tmp_path, 20)
    assert set(bench.filters(gate)) == {f"filter_{name}_ms" for name in gate.guards}
    assert await bench.hand_off() > 0
