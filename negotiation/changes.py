"""What would have changed a result, in words; each line says what was found on the changed ballot itself."""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.decision import ResultKind

Said = Mapping[str, Any]


def changes(explanation: Said) -> list[str]:
    """One line for each change, from the explanation's own figures."""
    was = {vote["persona"]: vote for vote in explanation["votes"]}
    return [
        *_votes(explanation["switches"]),
        *(f"{turn['persona']} not on the panel: {_outcome(turn)}" for turn in explanation["pivotal"]),
        *(f"{turn['persona']} lifting its veto: {_outcome(turn)}" for turn in explanation["vetoes_lifted"]),
        *(_confidence(turn, was[turn["persona"]]["confidence"]) for turn in explanation["confidences"]["turns"]),
        *_thresholds(explanation),
    ]


def _outcome(turn: Said) -> str:
    return str(turn["kind"]).replace("_", " ") + (f" for {turn['option']}" if turn["option"] is not None else "")


def _votes(turns: Sequence[Said]) -> list[str]:
    """One line for each persona and outcome, whatever it votes for to get there."""
    lines: dict[tuple[str, str], list[str]] = {}
    for turn in turns:
        lines.setdefault((turn["persona"], _outcome(turn)), []).append(turn["votes_for"])
    return [f"{persona} {_voting(options)}: {outcome}" for (persona, outcome), options in lines.items()]


def _voting(options: Sequence[str | None]) -> str:
    named = [option for option in options if option is not None]
    parts = [f"voting {' or '.join(named)}"] if named else []
    return " or ".join([*parts, "abstaining"] if None in options else parts)


def _confidence(turn: Said, was: float) -> str:
    return f"{turn['persona']} at a confidence of {turn['confidence']:g} instead of {was:.4g}: {_outcome(turn)}"


def _thresholds(explanation: Said) -> list[str]:
    """What a leader that stays would have to reach, or that one which decides would have to fall below."""
    result, rows = explanation["result"], explanation["requirements"]
    if result["kind"] == ResultKind.DECIDED:
        return [line for row in rows if (line := _undone(row))]
    blocked = explanation["blocking"] is not None and (
        explanation["blocking"]["vetoed_by"] or explanation["blocking"]["minority"]
    )
    missed = [row for row in rows if not row["met"]]
    if result["kind"] != ResultKind.BELOW_THRESHOLD or blocked or explanation["counted_instead"] or not missed:
        return []
    wanted = [_wanted(row) for row in missed]
    # Where nothing is certified, no figure would do.
    return [] if None in wanted else [f"{' and '.join(filter(None, wanted))}: decided for {result['option']}"]


def _undone(row: Said) -> str | None:
    if row["measure"] == "stake":
        return f"more than {row['threshold']:g} at stake, where it is {row['value']:g}: a person decides"
    if row["threshold"] is None or row["threshold"] <= 0:
        return None
    return f"a {row['measure']} below {row['threshold']:.4g}, where it is {row['value']:.4g}: below threshold"


def _wanted(row: Said) -> str | None:
    if row["threshold"] is None:
        return None
    if row["measure"] == "stake":
        return f"at most {row['threshold']:g} at stake"
    if row.get("lacks"):
        return f"enough votes ({row['lacks']})"
    return f"a {row['measure']} of at least {row['threshold']:.4g} instead of {row['value']:.4g}"
