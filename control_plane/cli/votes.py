"""The command votes."""

from pathlib import Path
from typing import Annotated, Any

import typer

from control_plane.cli.options import Json
from control_plane.cli.output import emit_json, note, say, table

_NOTED = 20

File = Annotated[Path, typer.Argument(metavar="FILE", help="A CSV: one row a vote, with what is right.")]
Strategies = Annotated[str | None, typer.Option(metavar="A,B", help="Only these strategies; else all.")]
Splits = Annotated[int, typer.Option(help="How many times to draw the halves and measure.")]
Alpha = Annotated[float, typer.Option(help="Highest share of errors that `certified` promises.")]
Delta = Annotated[float, typer.Option(help="Highest probability that the promise is broken.")]


def votes(
    file: File,
    strategies: Strategies = None,
    splits: Splits = 5,
    seed: Annotated[int, typer.Option(help="Draws the halves; same seed, same figures.")] = 0,
    alpha: Alpha = 0.05,
    delta: Delta = 0.1,
    as_json: Json = False,
) -> None:
    """Say what every strategy would have made of a file of votes with known answers.

    The first line names the columns, in any order; further ones are ignored. A row is a vote: q17,model-a,B,0.85,C

    item: what was voted on. annotator: who voted. label: the vote; empty abstains.

    confidence: from 0 to 1; may be empty. gold: what is right, the same on all rows of an item.

    A random half is measured, --splits times; half of the other (2,000 at most) is learned from, the rest certifies.

    accuracy: share right; a tie counts what drawing lots is worth. gain: 0 best annotator, 1 pool of all labels.

    AURC, AUGRC: how badly the score tells right from wrong; lower is better. calibration: confidence against truth.

    cover 5 %: share that some threshold decides with 5 % errors, in hindsight: nobody can promise it.

    certified: share decided above a threshold that was certified beforehand, on cases kept back for it.

    Example: parley votes votes.csv --strategies plurality,log_odds,calibrated_pool
    """
    from control_plane.cli.progress import step_bar
    from control_plane.services.votes import Request, design_of, measure_votes

    names = None if strategies is None else [name.strip() for name in strategies.split(",") if name.strip()]
    request = Request(file, names, splits, seed, alpha, delta)
    with step_bar(file.name, design_of(request).steps) as step:
        found = measure_votes(request, step)
    if as_json:
        emit_json(found)
        return
    for row in found["bad_rows"][:_NOTED]:
        note(f"line {row['line']}: {row['problem']}")
    if found["bad_row_count"] > _NOTED:
        note(f"... {found['bad_row_count']} rows left out in all; --json lists them")
    _show(found)


def _show(found: dict[str, Any]) -> None:
    counts = ", ".join(f"{found[name]} {name}" for name in ("items", "annotators", "labels", "votes"))
    say(f"{counts}; {found['bad_row_count']} rows left out; {found['splits']} splits, seed {found['seed']}")
    say("")
    _show_figures(found)
    say("")
    _show_certified(found)
    say("")
    limits = found["limits"]
    table(
        ("limit", "accuracy", ""),
        (
            ("best_single", f"{limits['best_single']:.4f}", "the annotator that was best on the items learned from"),
            ("pool_all_labels", f"{limits['pool_all_labels']:.4f}", "the pool, fitted on the measured items too"),
            ("any_right", f"{limits['any_right']:.4f}", "somebody was right"),
        ),
    )


def _show_figures(found: dict[str, Any]) -> None:
    from control_plane.services.votes import gains

    gain = gains(found)
    columns = ("strategy", "accuracy", "sd", "gain", "AURC", "AUGRC", "cover 5 %", "cover 2 %", "calibration")
    names = ("aurc", "augrc", "coverage_at_5", "coverage_at_2", "calibration_error")
    rows = []
    for name, figures in found["strategies"].items():
        worth = "-" if gain[name] is None else f"{gain[name]:.2f}"
        shown = [f"{figures[figure]:.4f}" for figure in names]
        rows.append((name, f"{figures['accuracy']:.4f}", f"{figures['accuracy_sd']:.4f}", worth, *shown))
    table(columns, rows)


def _show_certified(found: dict[str, Any]) -> None:
    bounds = list(next(iter(found["strategies"].values()))["certified"])
    columns = [part for bound in bounds for part in (f"at {_percent(bound)}", "errors")]
    rows = [
        (name, *(f"{figures['certified'][bound][part]:.4f}" for bound in bounds for part in ("coverage", "error")))
        for name, figures in found["strategies"].items()
    ]
    table(("certified coverage", *columns), rows)
    asked = _percent(f"{found['alpha']:g}")
    none = [name for name, figures in found["strategies"].items() if figures["certified_coverage"] == 0.0]
    if none:
        say(
            f"no coverage certified at {asked}: {', '.join(none)}. Too few certification cases, or too many errors "
            "among the surest: everything goes to people. More resolved items, or a larger --alpha, may change it."
        )


def _percent(bound: str) -> str:
    return f"{100 * float(bound):g} %"


COMMANDS = (votes,)
