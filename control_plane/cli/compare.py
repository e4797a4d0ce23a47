"""The command compare."""

from typing import Annotated, Any

import typer

from control_plane.cli.options import Json
from control_plane.cli.output import emit_json, note, say, table
from control_plane.cli.session import catalog, settings, with_engine

Batches = Annotated[list[str] | None, typer.Option("--batch", help="Only this batch; may be given again.")]
_MOMENT = "2026-01-31, 2026-01-31T12:00Z, or an age: 90m, 24h, 7d."


def compare(
    task_type: Annotated[str, typer.Argument(metavar="TYPE", help="A task type of the catalog.")],
    strategies: Annotated[str, typer.Option(help="Names with commas between; NAME:KEY=VALUE sets a parameter.")],
    since: Annotated[str | None, typer.Option(help=f"Tasks made from then on: {_MOMENT}")] = None,
    until: Annotated[str | None, typer.Option(help="Tasks made before then.")] = None,
    batch: Batches = None,
    calibration: Annotated[
        str | None, typer.Option(metavar="VERSION|none", help="Decide with this one; else the one in force.")
    ] = None,
    alpha: Annotated[
        float | None, typer.Option(help="Decide only above a threshold certified for this share of errors.")
    ] = None,
    against: Annotated[
        str,
        typer.Option(help="What blind votes are tested against: one of the strategies; recorded: the one in force."),
    ] = "recorded",
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
    limit_cases: Annotated[int, typer.Option(min=0, help="How many changed cases are listed at most.")] = 100,
    as_json: Json = False,
) -> None:
    """Decide what was recorded once more under other strategies, without asking any persona again.

    Every strategy runs under the rules that the case was decided by: those of the task type's strategy block, or, on
    cases decided with a calibration, those of its `when_calibrated` (a certified threshold, no escalate_below).
    "blind vote" counts round 0 alone, which every case holds: a tie is wrong; "certified" is what the strategy's own
    certificate in the calibration would decide, and how much of that is wrong.

    Example: parley compare credit_review --strategies plurality,supermajority:theta=3/4,log_odds --since 7d
    """
    from control_plane.services.compare import CompareRequest, compare_strategies
    from control_plane.services.listing import parse_since
    from domain.errors import InputError

    if alpha is not None and not 0.0 < alpha < 1.0:
        raise InputError(f"--alpha {alpha:g}: not a share of errors: give a number above 0 and below 1")
    kind = catalog(settings()).task_type(task_type)
    request = CompareRequest(
        strategies=strategies,
        since=parse_since(since) if since else None,
        until=parse_since(until, option="--until") if until else None,
        batch_ids=batch or None,
        calibration=calibration,
        alpha=alpha,
        against=against,
        seed=seed,
        limit_cases=limit_cases,
    )
    found = with_engine(lambda engine: compare_strategies(engine, kind, request))
    emit_json(found) if as_json else _show(found)


def _show(found: dict[str, Any]) -> None:
    rows = found["strategies"]
    learned = "no calibration" if found["calibration"] is None else f"calibration {found['calibration']}"
    say(f"{found['task_type']}/{found['subtask']}: {found['cases']} decisions, {found['resolved']} resolved, {learned}")
    for line in found["notes"]:
        note(line)
    columns = ("strategy", "decided", "to a person", "not identified", "coverage", "success", "accuracy", "leader")
    table(columns, (_figures(row) for row in rows))
    against = [
        (row["strategy"], measure, row[name])
        for row in rows
        for measure, name in (("success", "success_against"), ("leader", "leader_against"))
        if row[name]
    ]
    if against:
        say("")
        columns = ("against the record", "of", "n", "wins", "losses", "difference, 95 %", "p", "p (Holm)")
        table(columns, (_against(*one) for one in against))
    show_blind(found["blind"])
    _show_flips(found)
    again = found["recorded_again"]
    say(f"recorded results given back by their own strategy: {again['same']} of {found['cases']}")
    for one in again["mismatches"]:
        say(f"  {one['task_id']}: {one['problem']}")
    say(f"hash: {found['hash']}")


def show_blind(found: dict[str, Any]) -> None:
    """Print what the strategies make of the same blind votes, the paired tests, and in words what they say."""
    say("")
    columns = (
        "blind vote",
        "right",
        "ties",
        "certified",
        "wrong of these",
        "wins",
        "losses",
        "difference, 95 %",
        "p",
        "Holm",
    )
    table(columns, (_blind(row, found["reference"]) for row in found["strategies"]))
    for line in found["words"]:
        say(line)


def _blind(row: dict[str, Any], reference: str) -> tuple[Any, ...]:
    from evaluation.rates import Rate
    from evaluation.words import interval, percent

    name = f"{row['strategy']} *" if row["strategy"] == reference else row["strategy"]
    covered, wrong = row["certified_coverage"], row["certified_error"]
    figures = (
        interval(Rate(**row["accuracy"])),
        row["ties"],
        percent(covered["value"]),
        f"{percent(wrong['value'])} ({wrong['hits']} of {wrong['n']})",
    )
    against = row["against"]
    return (name, *figures, *(_paired(against) if against else ("-",) * 5))


def _show_flips(found: dict[str, Any]) -> None:
    say("")
    table(
        ("flips", "another action", "decided now", "to a person now"),
        (
            (row["strategy"], row["other_action"], row["decided_now"], row["escalated_now"])
            for row in found["strategies"]
            if row["success_against"] or row["strategy"] != "recorded"
        ),
    )
    if found["flips"]["total"]:
        say(f"changed cases: {found['flips']['total']}; --json lists them")


def _figures(row: dict[str, Any]) -> tuple[Any, ...]:
    from evaluation.rates import Rate
    from evaluation.words import interval, percent

    kinds = ", ".join(f"{kind} {count}" for kind, count in row["escalated"].items())
    people = sum(row["escalated"].values())
    return (
        row["strategy"],
        row["decided"],
        f"{people} ({kinds})" if people else people,
        row["not_identified"],
        percent(row["coverage"]["value"]),
        interval(Rate(**row["success"])),
        interval(Rate(**row["accuracy"])),
        percent(row["leader_accuracy"]["value"]),
    )


def _against(strategy: str, measure: str, found: dict[str, Any]) -> tuple[Any, ...]:
    return (strategy, measure, found["difference"]["n"], *_paired(found))


def _paired(found: dict[str, Any]) -> tuple[Any, ...]:
    from evaluation.rates import Difference
    from evaluation.words import change

    paired = found["difference"]
    difference = Difference(value=paired["value"], low=paired["low"], high=paired["high"])
    return (paired["wins"], paired["losses"], change(difference), f"{paired['p']:.3g}", f"{found['holm']:.3g}")


COMMANDS = (compare,)
