"""Training texts of our own: attacks, ordinary text and text that only looks like an attack, from templates.

`[a|b]` is a choice and `{name}` an entry of a list, in capitals where the name is. Same seed, same texts.
"""

import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from guardrails.training.corpora import Text

TEXTS = Path(__file__).parent / "texts"
SOURCE = "own"
_DEPTH = 6
"""Lists may name lists, so deep at most."""
_CHOICE = re.compile(r"\[([^\[\]]*\|[^\[\]]*)\]")
_LISTED = re.compile(r"\{([A-Za-z]+)\}")

Lists = Mapping[str, Sequence[str]]
Templates = tuple[Lists, list[str]]


def own_texts(each: int, seed: int) -> list[Text]:
    """At most `each` different texts of every template; attacks also inside ordinary text."""
    rng = random.Random(seed)
    (lists_of_attacks, attacks), (lists_of_benign, benign) = _read("attacks.yaml"), _read("benign.yaml")
    lists: Lists = {**lists_of_attacks, **lists_of_benign}
    bad = _expanded(attacks, lists, each, rng)
    good = _expanded(benign, lists, each, rng)
    carried = [f"{rng.choice(good)}{rng.choice(_JOINTS)}{text}" for text in rng.sample(bad, len(bad) // 4)]
    carried += [f"{text}{rng.choice(_JOINTS)}{rng.choice(good)}" for text in rng.sample(bad, len(bad) // 8)]
    joined = [f"{rng.choice(good)}{rng.choice(_JOINTS)}{text}" for text in rng.sample(good, len(good) // 3)]
    texts = [Text(text, 1, SOURCE) for text in dict.fromkeys([*bad, *carried])]
    return texts + [Text(text, 0, SOURCE) for text in dict.fromkeys([*good, *joined])]


_JOINTS = (" ", " ", ". ", "\n", "\n\n", " - ")


def _read(name: str) -> Templates:
    sections = yaml.safe_load((TEXTS / name).read_text(encoding="utf-8"))
    lists: Lists = sections.pop("lists")
    return lists, [template for templates in sections.values() for template in templates]


def _expanded(templates: Sequence[str], lists: Lists, each: int, rng: random.Random) -> list[str]:
    found: dict[str, None] = {}
    for template in templates:
        for _ in range(each):
            text = _expand(template, lists, rng)
            found[text[:1].upper() + text[1:] if rng.random() < 0.5 else text] = None
    return list(found)


def _expand(template: str, lists: Lists, rng: random.Random) -> str:
    def listed(match: re.Match[str]) -> str:
        name = match[1]
        if name in lists:
            return rng.choice(lists[name])
        return rng.choice(lists[name.lower()]).upper()

    text = template
    for _ in range(_DEPTH):
        before = text
        text = _LISTED.sub(listed, _CHOICE.sub(lambda match: rng.choice(match[1].split("|")), text))
        if text == before:
            break
    return " ".join(part for part in text.split(" ") if part)
