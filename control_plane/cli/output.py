"""What commands print: JSON or tables on stdout, progress and errors on stderr. Colours only on a terminal."""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from domain.printable import escaped, one_line, printable

_PIPED_WIDTH = 200


def console(*, stderr: bool = False) -> Console:
    """A console; wide when nobody watches, so that ids stay whole."""
    made = Console(stderr=stderr, highlight=False, emoji=False, soft_wrap=False)
    if not made.is_terminal:
        made = Console(stderr=stderr, highlight=False, emoji=False, width=_PIPED_WIDTH)
    return made


def emit_json(value: Any) -> None:
    """Print the value as JSON."""
    text = json.dumps(value, indent=2, default=_plain, ensure_ascii=False, allow_nan=False)
    sys.stdout.write(escaped(text) + "\n")
    sys.stdout.flush()


def emit_line(value: Any) -> None:
    """Print the value as JSON in one line."""
    sys.stdout.write(escaped(json.dumps(value, ensure_ascii=False, allow_nan=False)) + "\n")


def note(text: str) -> None:
    """Say what is going on, in one line on stderr."""
    console(stderr=True).print(one_line(text), style="dim", markup=False)


def say(text: str) -> None:
    """Print lines as they are; data in them goes through `as_text` first, lest a line break in it passes for ours."""
    console().print(printable(text, keep="\n"), markup=False, soft_wrap=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """Print a table; the first column, an id as a rule, is never cut."""
    named = None if title is None else escape(as_text(title))
    drawn = Table(title=named, box=None, pad_edge=False, header_style="bold", title_justify="left")
    for number, column in enumerate(columns):
        drawn.add_column(escape(as_text(column)), overflow="fold", no_wrap=number == 0)
    for row in rows:
        drawn.add_row(*(_cell(value) for value in row))
    console().print(drawn)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return escape(as_text(value))


def as_text(value: Any) -> str:
    """A value in one line: `name: value` pairs and lists with commas, JSON inside them."""
    if isinstance(value, dict):
        return one_line(", ".join(f"{name}: {_inner(inner)}" for name, inner in value.items()))
    if isinstance(value, list):
        return one_line(", ".join(_inner(inner) for inner in value))
    return one_line(str(value))


def _inner(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=_plain, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
