"""Policies: checked against their examples."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from control_plane.cli.options import Json
from control_plane.cli.output import emit_json, say, table
from control_plane.cli.session import catalog, settings

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
        list[str] | None, typer.Argument(metavar="[TYPE]...", help="Task types of the catalog; else all of them.")
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
