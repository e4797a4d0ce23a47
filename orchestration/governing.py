"""The governance report of this stack: under its newest anchor, in its folder of reports."""

from collections.abc import Iterable
from pathlib import Path

from evaluation.governance.report import Under
from orchestration import anchors


def under_newest(home: Path) -> Under:
    """The newest anchor that this stack's folder holds."""
    read = anchors.read_anchors(anchors.folder(home) / "anchors.jsonl", anchors.known_key(home))
    return Under(None if read.header is None else read.header.plain(), read.heads, tuple(read.problems))


def files_of(home: Path, report_id: str, formats: Iterable[str]) -> dict[str, Path]:
    """Format -> where the report lies; reports are among what an erasure looks through."""
    folder = home / "reports" / f"governance-{report_id}"
    return {name: folder / f"governance.{name}" for name in formats}
