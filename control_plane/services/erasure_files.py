"""What the folders of the stack hold of a person: stored results, reports, logs."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from domain.quotes import Quotes

_REPORTS = (".html", ".json", ".md", ".csv", ".txt", ".log")


def erase_from_files(
    home: Path, results: Path, task_ids: Sequence[str], quotes: Quotes, *, dry_run: bool
) -> dict[str, int]:
    """Remove stored results that name a task or quote the person; take quotes out of reports and logs."""
    named = Quotes(quotes.strings | {*task_ids})
    removed = changed = 0
    for path in _files(results):
        if any(one in path.name for one in task_ids) or named.hidden_in(path.read_bytes()):
            removed += 1
            if not dry_run:
                path.unlink(missing_ok=True)
    for folder in (home / "reports", home / "logs"):
        for path in _files(folder):
            raw = path.read_bytes()
            if path.suffix in _REPORTS and quotes.found_in(raw):
                changed += 1
                if not dry_run:
                    _write(path, quotes.out_of(raw.decode("utf-8", "surrogateescape")))
    return {"stored results": removed, "reports and logs": changed}


def _files(folder: Path) -> Iterator[Path]:
    yield from (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())


def _write(path: Path, text: str) -> None:
    if path.suffix == ".log":
        # Somebody is writing it: the same file, cut and written anew.
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        return
    descriptor, draft = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode("utf-8", "surrogateescape"))
    Path(draft).replace(path)
