"""The command calibrate."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from control_plane.cli.options import Json
from control_plane.cli.output import emit_json, say, table
from control_plane.cli.session import catalog, enter_stack, settings, with_engine
from domain.errors import InputError

if TYPE_CHECKING:
    from control_plane.services.calibration import Activated, Stood
    from domain.task_type import TaskType
    from tasks.calibration_words import Report

Moment = Annotated[str | None, typer.Option(help="2026-01-31, 2026-01-31T12:00Z, or an age: 90m, 24h, 7d.")]


def calibrate(
    task_type: Annotated[str, typer.Argument(metavar="TYPE", help="A task type of the catalog.")],
    version: Annotated[int | None, typer.Argument(metavar="[VERSION]", help="With --activate: this one.")] = None,
    activate: Annotated[
        bool, typer.Option("--activate", help="Decide by the shadow, or by VERSION, from now on.")
    ] = False,
    withdraw: Annotated[
        str | None, typer.Option("--withdraw", metavar="REASON", help="Take what stands out of force: people decide.")
    ] = None,
    since: Moment = None,
    until: Moment = None,
    alpha: Annotated[float | None, typer.Option(help="Highest share of errors, where the type states none.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the split into cases to fit, certify and measure on.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Store nothing.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="List all versions with where they stand.")] = False,
    as_json: Json = False,
) -> int:
    """Learn from resolved cases how far the panel of the type's answer can be relied on.

    The new version is a shadow: it is computed beside every decision and decides nothing until it is activated.
    Exit code 1 says that there are too few resolved cases, or that a version cannot be put in force.

    Examples: parley calibrate credit_review --since 90d | parley calibrate credit_review --activate
    """
    wanted = [name for name, given in _instead(activate, list_, withdraw) if given]
    if len(wanted) > 1 or (version is not None and not activate):
        raise InputError(
            "calibrate: give --activate [VERSION], --withdraw REASON or --list, or none of them to calibrate"
        )
    if wanted and any((since, until, alpha is not None, dry_run)):
        raise InputError(
            f"calibrate: {wanted[0]} takes no --since, --until, --alpha or --dry-run: they are of calibrating"
        )
    found = catalog(settings())
    kind = found.task_type(task_type)
    if list_:
        return _list(kind, as_json)
    if activate:
        return _activate(kind, version, as_json)
    if withdraw:
        return _withdraw(kind, withdraw, as_json)
    return _calibrate(kind, {"alpha": alpha, "seed": seed, "dry_run": dry_run}, since, until, as_json)


def _instead(activate: bool, list_: bool, withdraw: str | None) -> tuple[tuple[str, bool], ...]:
    if withdraw is not None and not withdraw.strip():
        raise InputError("--withdraw: give the reason, it is kept with the version")
    return ("--activate", activate), ("--list", list_), ("--withdraw", withdraw is not None)


def _withdraw(kind: "TaskType", reason: str, as_json: bool) -> int:
    from control_plane.services.calibration import withdraw

    version = with_engine(lambda engine: withdraw(engine, kind, reason))
    if as_json:
        emit_json({"task_type": kind.name, "subtask_id": kind.answer, "withdrawn": version})
        return 0
    say(f"{kind.name}/{kind.answer}: version {version} is out of force; the panel decides as before any calibration")
    return 0


def _calibrate(kind: "TaskType", how: dict[str, Any], since: str | None, until: str | None, as_json: bool) -> int:
    from control_plane.services.calibration import calibrate_panel
    from control_plane.services.listing import parse_since

    start = parse_since(since) if since else None
    end = parse_since(until, option="--until") if until else None
    enter_stack(quiet=True)
    report = with_engine(lambda _: calibrate_panel(kind.name, start, end, **how))
    if as_json:
        emit_json(report)
    else:
        _show(report)
    return 1 if report.calibration is None else 0


def _show(report: "Report") -> None:
    from tasks.calibration_words import PERSONA_COLUMNS, STRATEGY_COLUMNS, lines, persona_rows, strategy_rows

    found = report.calibration
    if found is not None:
        table(PERSONA_COLUMNS, persona_rows(found), title=f"{found.task_type}/{found.subtask_id}: blind votes")
        say("")
        title = f"strategies on {found.test_cases} test cases (* the subtask's own)"
        table(STRATEGY_COLUMNS, strategy_rows(found, report.rule), title=title)
        say("")
    for line in lines(report):
        say(line)
    if report.stored:
        say(f"put it in force with: parley calibrate {report.task_type} --activate")


def _list(kind: "TaskType", as_json: bool) -> int:
    from control_plane.services.calibration import listing

    found = with_engine(lambda engine: listing(engine, kind))
    if as_json:
        emit_json({"task_type": kind.name, "subtask_id": kind.answer, "calibrations": found})
        return 0
    columns = ("version", "status", "cases", "first case", "last case", "certified at", "coverage", "audits", "note")
    rows = (
        (
            one.version,
            one.status,
            one.cases,
            one.first_case_at,
            one.last_case_at,
            *_promise(one),
            _audits(one),
            one.note,
        )
        for one in found
    )
    table(columns, rows, title=f"{kind.name}/{kind.answer}")
    for one in found:
        _say_shadow(one)
    return 0


def _activate(kind: "TaskType", version: int | None, as_json: bool) -> int:
    from control_plane.services.calibration import activate

    personas = catalog(settings()).personas(kind.name)
    found = with_engine(lambda engine: activate(engine, kind, personas, version))
    if as_json:
        emit_json({"task_type": kind.name, "subtask_id": kind.answer, "activated": found})
        return 0
    _say_activated(kind, found)
    return 0


def _say_activated(kind: "TaskType", found: "Activated") -> None:
    place, new = f"{kind.name}/{kind.answer}", found.new
    if not found.changed:
        say(f"{place}: version {new.version} is active already")
        return
    table(
        ("", "version", "cases", "certified at", "coverage"),
        (
            (name, one.version, one.cases, *_promise(one)) if one is not None else (name, "none", "-", "-", "-")
            for name, one in (("before", found.old), ("from now on", new))
        ),
        title=place,
    )
    _say_shadow(new)
    if new.threshold is None and new.asked:
        say(f"nothing certifies {new.rule}: everything goes to people")


def _promise(one: "Stood") -> tuple[str, str]:
    """The certified threshold and the coverage that is expected of it."""
    if one.threshold is None:
        return "-", "-"
    return f"{one.measure} {one.threshold:.4g}", "-" if one.coverage is None else f"{100 * one.coverage:.1f} %"


def _audits(one: "Stood") -> str:
    found = one.audits
    return f"{found.wrong} wrong of {found.resolved}, {found.drawn - found.resolved} open" if found.drawn else "-"


def _say_shadow(one: "Stood") -> None:
    seen = one.shadow
    if seen is None:
        return
    known = "no outcome yet"
    if seen.resolved:
        known = f"{seen.right} of {seen.resolved} with an outcome right ({100 * seen.right / seen.resolved:.1f} %)"
    say(
        f"version {one.version} as a shadow: {seen.alike} of {seen.decisions} decisions alike; "
        f"it would have decided {seen.decided}: {known}"
    )


COMMANDS = (calibrate,)
