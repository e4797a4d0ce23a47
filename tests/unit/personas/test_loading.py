"""Persona files, and what the pilot's say."""

import csv
import re
from pathlib import Path

import pytest

from domain.errors import CatalogError
from domain.memory import PersonaContext
from domain.proposal import Option
from personas.loading import load_personas
from personas.panel import Panelist

PILOT = Path(__file__).parents[3] / "pilots" / "credit_review"
GOOD = """
id: clerk
version: 1
role: Reads records
view: [Records]
reasoner:
  kind: scorecard
  parameters:
    positive_action: approve
    negative_action: decline
    base: 1
    scale: 0.1
    criteria:
      - id: records
        field: Records
        categories:
          no: {points: 4, reason: Clean.}
          yes: {points: -4, reason: Late.}
        null: {points: 0, reason: Unknown.}
"""


def write(folder: Path, text: str, name: str = "clerk") -> Path:
    (folder / "personas").mkdir(exist_ok=True)
    (folder / "personas" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def test_keys_are_text(tmp_path: Path) -> None:
    loaded = load_personas(write(tmp_path, GOOD))
    criterion = loaded["clerk"].reasoner.parameters["criteria"][0]
    assert list(criterion["categories"]) == ["no", "yes"]
    assert "null" in criterion


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("version: 1", "version: 0", "version"),
        ("version: 1", "version: 1\nmood: calm", "mood"),
        ("id: clerk", "id: cleric", "id"),
        ("scale: 0.1", "scale: -1", "reasoner.parameters.scale"),
        ("view: [Records]", "view: [Debt]", "reasoner.parameters.criteria"),
        ("version: 1", "version: 1\nversion: 2", ""),
        ("role: Reads", "role: [Reads", ""),
        ("role: Reads", "role: !!python/name:os.system Reads", ""),
    ],
)
def test_a_broken_file_is_named_with_its_path(tmp_path: Path, old: str, new: str, path: str) -> None:
    with pytest.raises(CatalogError) as caught:
        load_personas(write(tmp_path, GOOD.replace(old, new)))
    assert caught.value.file.endswith("personas/clerk.yaml")
    assert caught.value.path == path


def test_the_pilots_cards_never_touch_protected_attributes() -> None:
    for file in (PILOT / "personas").glob("*.yaml"):
        words = set(re.findall(r"[a-z]+", file.read_text(encoding="utf-8").lower()))
        assert not words & {"age", "old", "young", "marital", "married", "single", "divorced", "widow", "spouse"}


async def test_the_pilots_panel_scores_every_case() -> None:
    people = load_personas(PILOT)
    assert set(people) == {"risk_analyst", "customer_advocate", "collateral_specialist"}
    options = (Option(name="approve", action="approve"), Option(name="decline", action="decline"))
    texts = ("Home", "Job", "Records")
    with (PILOT / "data" / "applications.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[::20]
    for who in people.values():
        panelist = Panelist.build(who, PILOT)
        for row in rows:
            working = {f: None if row[f] == "" else row[f] if f in texts else float(row[f]) for f in who.view}
            context = PersonaContext(persona=who.id, round=0, question="?", options=("approve",), working=working)
            proposal, _ = await panelist.propose(context, options)
            assert proposal.option in {"approve", "decline"}
            assert 0.5 <= proposal.confidence < 0.95
            assert proposal.evidence
