"""The parts of Markdown that an explanation is made of; whatever is put into them stays text."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from domain.printable import one_line

_MARKUP = re.compile(r"[\\`*\[\]|#~]|(?<![^\W_])_|_(?![^\W_])")
"""An underscore inside a word is no markup."""
_OPENS_A_BLOCK = re.compile(r"^(\d*)([.)]|[-+=])(?=[-+=\s]|$)")
"""A list, a rule, or the line below a heading."""


def as_text(value: Any) -> str:
    """One line in which nothing is markup, and nothing moves a terminal's cursor or turns the text around."""
    return _OPENS_A_BLOCK.sub(r"\1\\\2", _inline(value))


def _inline(value: Any) -> str:
    line = _MARKUP.sub(lambda found: f"\\{found[0]}", one_line(str(value)))
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def as_number(value: float | None) -> str:
    """Four digits; a dash where there is none."""
    return "-" if value is None else f"{value:.4g}"


def as_table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table; nothing without rows."""
    body = [f"| {' | '.join(_inline(cell) for cell in row)} |" for row in rows]
    if not body:
        return ""
    return "\n".join([f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}", *body])


def as_items(title: str, lines: Sequence[Any], level: int = 3) -> str:
    """A list under a heading, whose title is Markdown; nothing without lines."""
    if not lines:
        return ""
    return "\n".join([f"{'#' * level} {title}", "", *(f"- {as_text(line)}" for line in lines)])
