"""The rules, as YARA reads them."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yara

RULES = Path(__file__).with_name("rules.yar")
TIMEOUT_SECONDS = 2
HINTS_OF_BENIGN = frozenset({"security_talk", "ordinary_ignore"})
"""Rules for text about attacks, and for what is ordinarily ignored: they speak against an injection."""
WEAK = frozenset({"fiction", "vulgar", "addressed_to_ai"})
"""Rules that say little by themselves; a finding does not name them."""

_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def matched(form: str) -> frozenset[str]:
    """Names of the rules that the form of a text matches. Raises yara.TimeoutError."""
    found = _compiled().match(data=form.encode("utf-8", "replace"), timeout=TIMEOUT_SECONDS, fast=True)
    return frozenset(match.rule for match in found)


@cache
def names() -> Sequence[str]:
    """Every rule, in the file's order."""
    return tuple(rule.identifier for rule in _compiled())


@cache
def source() -> str:
    """The file as it is."""
    return RULES.read_text(encoding="utf-8")


@cache
def _compiled() -> Any:
    # YARA's expressions take bytes: a letter beyond ASCII is the group of its UTF-8 bytes.
    as_bytes = _NOT_ASCII.sub(
        lambda match: "(" + "".join(f"\\x{byte:02x}" for byte in match[0].encode()) + ")", source()
    )
    return yara.compile(source=as_bytes, error_on_warning=True)
