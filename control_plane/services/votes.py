"""What any file of resolved votes says of the strategies."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from time import perf_counter
from typing import Any

from domain.errors import CaseFileError, InputError
from negotiation.strategies import STRATEGIES
from negotiation.votebook.protocol import Design, Examined, examine
from negotiation.votebook.reading import Votebook, read_votes

MAX_BYTES = 512 * 1024 * 1024
MOST_SPLITS = 1_000

Step = Callable[[], object]


@dataclass(frozen=True)
class Request:
    """What is asked of a file."""

    file: Path
    strategies: Sequence[str] | None = None
    """None: all of them."""
    splits: int = 5
    seed: int = 0
    alpha: float = 0.05
    delta: float = 0.1


def measure_votes(request: Request, step: Step) -> dict[str, Any]:
    """Everything that is found out, as plain JSON. `step` is called `design_of(request).steps` times.

    Raises InputError.
    """
    start = perf_counter()
    design, book = design_of(request), read_votebook(request.file)
    try:
        found = examine(book, design, step)
    except ValueError as problem:
        raise InputError(f"{request.file}: {problem}") from None
    return _as_json(book, design, found) | {"seconds": round(perf_counter() - start, 3)}


def design_of(request: Request) -> Design:
    """What is to be measured. Raises InputError for an unknown strategy or a number out of range."""
    for name, bound in (("alpha", request.alpha), ("delta", request.delta)):
        if not 0.0 < bound < 1.0:
            raise InputError(f"--{name} {bound:g}: expected a number between 0 and 1")
    if not 1 <= request.splits <= MOST_SPLITS:
        raise InputError(f"--splits {request.splits}: expected 1 to {MOST_SPLITS}")
    wanted = tuple(STRATEGIES) if request.strategies is None else tuple(dict.fromkeys(request.strategies))
    unknown = [name for name in wanted if name not in STRATEGIES]
    if unknown or not wanted:
        what = f"unknown strategy {', '.join(map(repr, unknown))}" if unknown else "no strategy named"
        raise InputError(f"--strategies: {what}: choose from {', '.join(STRATEGIES)}")
    ordered = tuple(name for name in STRATEGIES if name in wanted)
    return Design(ordered, request.splits, request.seed, request.alpha, request.delta)


def read_votebook(path: Path) -> Votebook:
    """The file's votes. Raises CaseFileError where it cannot be read or no row can be used."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as problem:
        raise CaseFileError(f"{path}: cannot be read ({problem.strerror}): give a CSV file") from None
    if len(data) > MAX_BYTES:
        raise CaseFileError(f"{path}: larger than {MAX_BYTES} bytes: give a part of it")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        raise CaseFileError(f"{path}: line {line}: byte {problem.start} is not UTF-8: save the file as UTF-8") from None
    del data
    try:
        return read_votes(StringIO(text, newline=""))
    except CaseFileError as problem:
        raise CaseFileError(f"{path}: {problem}") from None


def gains(found: Mapping[str, Any]) -> dict[str, float | None]:
    """Strategy -> (accuracy - best_single) / (pool_all_labels - best_single); None where that is no scale."""
    low, high = found["limits"]["best_single"], found["limits"]["pool_all_labels"]
    return {
        name: (figures["accuracy"] - low) / (high - low) if high > low else None
        for name, figures in found["strategies"].items()
    }


def _as_json(book: Votebook, design: Design, found: Examined) -> dict[str, Any]:
    strategies = {}
    for name, figures in found.strategies.items():
        plain = asdict(figures)
        asked, certified = plain.pop("asked"), plain.pop("certified")
        plain |= {"certified_coverage": asked["coverage"], "certified_error": asked["error"]}
        plain["certified"] = {f"{alpha:g}": values for alpha, values in certified.items()}
        strategies[name] = plain
    return {
        "strategies": strategies,
        "limits": asdict(found.limits),
        "items": len(book.items),
        "annotators": len(book.annotators),
        "labels": len(book.labels),
        "votes": book.votes,
        "splits": design.splits,
        "seed": design.seed,
        "alpha": design.alpha,
        "delta": design.delta,
        "bad_rows": [{"line": row.line, "problem": row.problem} for row in book.bad],
        "bad_row_count": book.bad_count,
    }
