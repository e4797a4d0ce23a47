"""Policies: checked against their examples, and tried on what was recorded."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from control_plane.cli.options import Json
from control_plane.cli.output import emit_json, say, table
from control_plane.cli.progress import count_bar
from control_plane.cli.session import catalog, settings, with_engine

if TYPE_CHECKING:
    from control_plane.services.policy_check import Checked

policy = typer.Typer(
    name="policy",
    help="Check policies against their examples, and recorded tasks against other policies.",
    no_args_is_help=True,
)


@policy.command()
def check(
    task_types: Annotated[
        list[str] | None, typer.Argument(metavar="TYPE", help="Task types of the catalog; else all of them.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Hold every policy against the schema of its task type, and run its examples.

    Each policy needs an example that it matches and one that it does not, in the policy_examples.yaml beside it. The
    platform's policies and those of the whole catalog are checked too. Exit code 1 where examples and policies
    disagree, 2 where a file is broken or names what the task type has not.

    Example: parley policy check

    Example: parley policy check credit_review
    """
    from control_plane.services.policy_check import check_policies

    found = check_policies(catalog(settings()), task_types or ())
    if as_json:
        emit_json(
            {
                "agrees": not found.problems,
                "policies": [one._asdict() for one in found.policies],
                "problems": [one._asdict() for one in found.problems],
                "hashes": found.hashes,
            }
        )
    else:
        _show(found)
    return 1 if found.problems else 0


def _show(found: "Checked") -> None:
    columns = ("policy", "effect", "of", "owner", "matches", "misses", "file")
    table(columns, ((*one[:-1], _short(one.file)) for one in found.policies))
    for one in found.problems:
        where = f"{_short(one.file)}: {one.policy}" if one.policy else _short(one.file)
        say(f"{where}: {one.problem}")
    examples = sum(one.matches + one.misses for one in found.policies)
    said = "all agree"
    if found.problems:
        said = f"{len(found.problems)} disagreement{'s' if len(found.problems) > 1 else ''}"
    say(f"{len(found.policies)} policies, {examples} examples: {said}")
    for name, hash in found.hashes.items():
        say(f"{name}: {hash}")


def _short(file: str) -> str:
    """Within the folder that one stands in, without its path."""
    here = Path.cwd()
    return str(Path(file).relative_to(here)) if Path(file).is_relative_to(here) else file


@policy.command()
def backtest(
    task_type: Annotated[str, typer.Argument(metavar="TYPE", help="A task type of the catalog.")],
    policies: Annotated[
        list[Path], typer.Option(metavar="FILE...", help="Cedar files in place of the task type's own.")
    ],
    more: Annotated[list[Path] | None, typer.Argument(metavar="FILE", help="More files of --policies.")] = None,
    platform: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A Cedar file in place of the platform's.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="So many tasks, the newest first.")] = 1000,
    since: Annotated[
        str | None,
        typer.Option(help="Tasks made from then on: 2026-01-31, 2026-01-31T12:00Z, or an age: 24h, 7d."),
    ] = None,
    limit_cases: Annotated[
        int, typer.Option(min=0, help="How many verdicts of each kind of change --json lists at most.")
    ] = 100,
    as_json: Json = False,
) -> None:
    """Put what was recorded before other policies: what would newly be allowed, and what newly blocked?

    Every recorded verdict is given once more on the same subject and with the findings of then. The policies of the
    platform and of the whole catalog hold as they do now. Nothing is written and nobody is asked; what a task would
    have done after another verdict is not guessed at.

    Example: parley policy backtest credit_review --policies stricter.cedar --since 7d

    Example: parley policy backtest credit_review --policies pilots/credit_review/policies.cedar added.cedar
    """
    from control_plane.services.backtest import BacktestRequest
    from control_plane.services.backtest import backtest as service
    from control_plane.services.listing import parse_since

    request = BacktestRequest(
        task_type=task_type,
        policies=(*policies, *(more or ())),
        platform=platform,
        limit=limit,
        since=parse_since(since) if since else None,
        limit_cases=limit_cases,
    )
    known = catalog(settings())
    with count_bar("tasks") as follow:
        found = with_engine(lambda engine: service(engine, known, request, follow))
    emit_json(found) if as_json else _show_backtest(found)


def _show_backtest(found: dict[str, Any]) -> None:
    from evaluation.rates import Rate
    from evaluation.words import interval

    tasks = found["tasks"]
    say(f"{found['task_type']}: {tasks['judged']} of {tasks['total']} tasks judged again ({tasks['partly']} in part)")
    for name, words in (("newly_allowed", "newly allowed"), ("newly_blocked", "newly blocked"), ("changed", "changed")):
        rate = Rate(**tasks[name])
        examples = ", ".join(dict.fromkeys(one["task_id"] for one in found["cases"][name][:3]))
        say(f"{words}: {rate.hits} tasks, {interval(rate)}{f': {examples}' if examples else ''}")
    say("")
    hops = ("hop", "verdicts", "same", "newly allowed", "newly blocked", "changed", "effects", "not judged")
    table(hops, (_hop(name, one) for name, one in found["hops"].items()))
    if found["by_policy"]:
        say("")
        columns = ("policy", "newly allowed", "newly blocked", "changed", "tasks, such as")
        rows = found["by_policy"].items()
        counts = ("newly_allowed", "newly_blocked", "changed")
        table(columns, ((name, *(one[kind] for kind in counts), one["tasks"]) for name, one in rows))
    if found["not_judged"]:
        say("")
    for reason, one in found["not_judged"].items():
        say(f"not judged again: {one['verdicts']} verdicts ({reason}): {one['why']}")
    say("nothing was written")


def _hop(name: str, one: dict[str, Any]) -> tuple[Any, ...]:
    effects = "; ".join(f"{effect}: {number}" for effect, number in one["effects"].items())
    missing = sum(one["not_judged"].values())
    taint = [f"tainted now: {one['newly_tainted']}"] if one["newly_tainted"] else []
    taint += [f"not tainted now: {one['no_longer_tainted']}"] if one["no_longer_tainted"] else []
    counts = (one["verdicts"], one["same"], one["newly_allowed"], one["newly_blocked"], one["changed"])
    return (name, *counts, "; ".join([*([effects] if effects else []), *taint]) or "-", missing or "-")
