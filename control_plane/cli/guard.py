"""The filters by themselves: scan."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from control_plane.cli.options import Json
from control_plane.cli.output import emit_line, say, table
from control_plane.cli.progress import step_bar

if TYPE_CHECKING:
    from control_plane.services.scan import Scanned

guard = typer.Typer(
    name="guard",
    help="Try the filters on texts of your own.\n\nA finding is a signal: policies decide what follows from it.",
    no_args_is_help=True,
)

_SHOWN = 20

File = Annotated[Path, typer.Argument(metavar="FILE", help="A CSV in UTF-8 with a header.")]
Column = Annotated[str, typer.Option(metavar="NAME", help="The column that holds the text.")]
Threshold = Annotated[
    float | None, typer.Option(help="Flag from this injection score on; else the shipped threshold, 0.5.")
]


@guard.callback()
def _group() -> None:
    """Keeps `scan` a command of its own while it is the only one."""


@guard.command()
def scan(file: File, column: Column = "text", threshold: Threshold = None, as_json: Json = False) -> None:
    """Run the filters for input texts over a CSV file: injection, secrets, personal data, form.

    --json prints one line a row: row (data rows from 1, blank lines are none), score, flagged, findings.

    score: how much the text reads like an injection, from 0 to 1. flagged: at or above the threshold.

    At the shipped threshold about one ordinary text in a hundred is flagged by mistake. Nothing is printed for a file
    that is broken anywhere. Texts are never printed.

    Example: parley guard scan mails.csv --column body --json
    """
    from control_plane.services import scan as service

    request = service.Request(file, column, threshold)
    total = service.count_rows(request)
    summary = _Summary()
    with step_bar(file.name, total) as step:
        for scanned in service.scan(request):
            if as_json:
                emit_line(_as_json(scanned))
            else:
                summary.add(scanned)
            step()
    if not as_json:
        summary.show(request.limit)


def _as_json(scanned: "Scanned") -> dict[str, Any]:
    kept = {"guard_id", "version", "category", "score", "reason", "error"}
    findings = [finding.model_dump(mode="json", include=kept) for finding in scanned.findings]
    return scanned._asdict() | {"findings": findings}


class _Summary:
    def __init__(self) -> None:
        self.rows = 0
        self.flagged = 0
        self.kinds: Counter[tuple[str, str]] = Counter()
        self.first: list[Scanned] = []

    def add(self, scanned: "Scanned") -> None:
        self.rows += 1
        self.kinds.update({(finding.guard_id, finding.category) for finding in scanned.findings})
        if scanned.flagged:
            self.flagged += 1
            if len(self.first) < _SHOWN:
                self.first.append(scanned)

    def show(self, threshold: float) -> None:
        say(f"{self.rows} rows, {self.flagged} flagged at {threshold:g}")
        if self.kinds:
            say("")
            table(("filter", "finding", "rows"), [(*kind, count) for kind, count in sorted(self.kinds.items())])
        if self.first:
            say("")
            reasons = [next((f.reason for f in one.findings if f.guard_id == "injection"), "-") for one in self.first]
            rows = [(one.row, f"{one.score:.3f}", why) for one, why in zip(self.first, reasons, strict=True)]
            table(("row", "score", "why"), rows)
        if self.flagged > len(self.first):
            say(f"... {self.flagged} flagged in all; --json lists every row")
