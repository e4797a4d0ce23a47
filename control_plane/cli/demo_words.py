"""What the demo prints, phase by phase."""

from typing import TYPE_CHECKING, Any

from control_plane.cli.compare import show_blind
from control_plane.cli.evaluation import report
from control_plane.cli.output import say, table
from control_plane.cli.submission import spelled

if TYPE_CHECKING:
    from tasks.calibration_words import Report


def show_period(shown: dict[str, Any]) -> None:
    """What was decided, and how good it was."""
    say("")
    for batch in shown["batches"]:
        say(f"batch {batch['batch_id']}: {spelled(batch['counts'])}")
    say(f"{shown['outcomes']} outcomes recorded; decided by {shown['decided_by']}\n")
    report(shown["evaluation"])


def show_calibration(found: "Report") -> None:
    """What the outcomes so far say of the panel, shortly."""
    from tasks.calibration_words import PERSONA_COLUMNS, debate, persona_rows

    made = found.calibration
    if made is None:
        return
    say(f"\nsecond phase: calibration {made.version}, on the {found.cases} cases with an outcome so far")
    table(PERSONA_COLUMNS, persona_rows(made))
    say(debate(made.debate))
    say(found.words)
    say(f"calibration {made.version} is active: {found.rule} decides from now on, in the place of the strategy before")
    if not found.certifies:
        say("as nothing certifies, it sends every case to a person; it is put in force all the same, to show just that")


def show_second(found: dict[str, Any]) -> None:
    """What the activated strategy decided, and what every other would have made of the same proposals."""
    from control_plane.services.second_phase import why

    show_period(found)
    say("")
    for line in (found["against_first"] or {"words": ()})["words"]:
        say(line)
    people, drawn = found["to_people"], found["audits"]
    reasons = "; ".join(f"{count}: {why(cause)}" for cause, count in people["by_reason"].items())
    say(f"to a person: {people['total']} of {found['compared']['cases']}" + (f" ({reasons})" if reasons else ""))
    say(
        f"audits: {drawn['drawn']} of those decided alone were drawn, {drawn['resolved']} have an outcome, "
        f"{drawn['wrong']} were wrong; the calibration is {found['calibration_status']}"
    )
    say("\nevery strategy on the same blind votes (* the one in force; parley compare shows more)")
    if found["compared"]["in_sample"] is not None:
        say(found["compared"]["in_sample"])
    show_blind({**found["compared"]["blind"], "strategies": _compared(found["compared"]["blind"])})
    for line in found["coverage_in_words"]:
        say(line)


def _compared(blind: dict[str, Any]) -> list[dict[str, Any]]:
    """Without the record, whose strategy is one of them; the one in force first."""
    rows = [row for row in blind["strategies"] if row["strategy"] != "recorded"]
    return sorted(rows, key=lambda row: row["strategy"] != blind["reference"])


def show_end(shown: dict[str, Any]) -> None:
    """Where to look next."""
    if shown["prefect"]:
        say("\nstage by stage in Prefect:")
    for url in shown["prefect"].values():
        say(f"  {url}")
    if shown["explained"] is not None:
        say(f"\nwhy, for one of them: parley explain {shown['explained']['task_id']}")
        say(f"  {shown['explained']['markdown']}")
    say(f"waiting for a person: {shown['open_approvals']}: parley approvals")
    say("the stack stays up: parley down stops it")
