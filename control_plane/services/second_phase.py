"""The demo's second phase: what its activated strategy decided, and what every other would have made of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from control_plane.services.compare import CompareRequest, compare_strategies
from control_plane.services.compared_strategies import RECORDED
from domain.calibration import Calibration
from domain.task_type import TaskType
from evaluation.compared_blind import SIGNIFICANT
from evaluation.rates import Rate, difference, unpaired_p
from evaluation.words import change, percent
from negotiation.force import to_calibrate
from negotiation.settle import certification
from storage.repositories import audits, calibrations, inbox
from tasks.calibrate import own_rule
from tasks.calibration_words import Report

_WHY = {
    "below_threshold": "the certified threshold is not reached",
    "stalemate": "no option leads",
    "no_quorum": "too few personas were there",
    "blocked": "a veto stands",
}


def skipped(report: Report) -> str | None:
    """Why there is no second phase; None when there are cases enough to calibrate on."""
    if report.calibration is not None and report.cases >= report.needed:
        return None
    return (
        f"no second phase: {report.cases} resolved cases are too few to calibrate on, {report.needed} are needed at "
        f"the least to certify {percent(report.alpha)}: run the demo again, or with a larger --count"
    )


def every_strategy(calibration: Calibration) -> str:
    """All strategies that the calibration measured, by name, as `parley compare` takes them."""
    return ",".join(sorted({found.strategy.partition("(")[0] for found in calibration.certificates}))


async def look(
    engine: AsyncEngine, kind: TaskType, batch_ids: Sequence[str], calibration: Calibration
) -> dict[str, Any]:
    """Every strategy on the batches' proposals, who went to a person and why, and the audits. Plain JSON."""
    rule = own_rule(to_calibrate(kind.subtask(kind.answer).strategy))
    request = CompareRequest(every_strategy(calibration), batch_ids=batch_ids, against=rule, limit_cases=0)
    compared = await compare_strategies(engine, kind, request)
    place = (kind.name, kind.answer, calibration.version)
    async with engine.connect() as connection:
        causes = await inbox.causes(connection, batch_ids)
        drawn = await audits.totals(connection, *place)
        standing = await calibrations.find(connection, *place)
    bound = certification(to_calibrate(kind.subtask(kind.answer).strategy))
    return {
        "compared": compared,
        "coverage_in_words": coverage_in_words(compared["blind"], bound.alpha if bound is not None else 1.0),
        "to_people": {"total": sum(causes.values()), "by_reason": dict(causes)},
        "audits": drawn.model_dump(mode="json"),
        "calibration_status": standing.status.value,
    }


def why(cause: str) -> str:
    """Why a person was asked, in words."""
    return _WHY.get(cause, f"policy {cause}")


def against_first(found: Mapping[str, Any]) -> dict[str, Any] | None:
    """Success where decided alone, this phase against the one before; None where one decided nothing alone.

    They are other cases, so the test is of independent shares.
    """
    if found["reference"] is None:
        return None
    covered, right = (
        [Rate(**found[period][name]) for period in ("metrics", "reference")] for name in ("coverage", "success_decided")
    )
    moved, p = difference(*right), unpaired_p(*right)
    if moved is None or p is None:
        return None
    return {"difference": moved.model_dump(mode="json"), "p": p, "words": _moved(covered, right, change(moved), p)}


def _moved(covered: Sequence[Rate], right: Sequence[Rate], changed: str, p: float) -> list[str]:
    (now, before), (alone, earlier) = right, covered
    verdict = "more than noise explains" if p < SIGNIFICANT else "within noise: no gain or loss can be claimed from it"
    said = [
        f"right where decided alone: {percent(before.value)} of {before.n} before, {percent(now.value)} of {now.n} "
        f"now, on other cases: {changed}, p = {p:.2g}: {verdict}"
    ]
    fewer = (alone.value or 0.0) < (earlier.value or 0.0)
    said.append(
        f"it decides {'fewer' if fewer else 'as many or more'} alone, {percent(alone.value)} of the cases against "
        f"{percent(earlier.value)}"
        + (": what it is less sure of goes to people; that alone makes no panel better" if fewer else "")
    )
    return said


def coverage_in_words(blind: Mapping[str, Any], alpha: float) -> list[str]:
    """Who decides more than the strategy in force by its own certificate, and whose errors lie above the bound."""
    rows = {row["strategy"]: row for row in blind["strategies"] if row["strategy"] != RECORDED}
    own = rows[blind["reference"]]["certified_coverage"]["value"] or 0.0
    told = []
    more = [name for name, row in rows.items() if (row["certified_coverage"]["value"] or 0.0) > own]
    if more:
        told.append(
            f"by its certificate {blind['reference']} decides {percent(own)} of the cases without a person; these "
            f"would decide more by theirs: {_grouped({name: _decides(rows[name]) for name in more})}"
        )
    above = [name for name, row in rows.items() if (row["certified_error"]["value"] or 0.0) > alpha]
    if above:
        told.append(
            f"above the {percent(alpha)} that was certified, on these cases: "
            f"{_grouped({name: _wrong(rows[name]) for name in above})}"
        )
    return told


def _grouped(told: Mapping[str, str]) -> str:
    """Names with the same to be told of them stand together."""
    names: dict[str, list[str]] = {}
    for name, text in told.items():
        names.setdefault(text, []).append(name)
    return "; ".join(f"{', '.join(alike)}: {text}" for text, alike in names.items())


def _decides(row: Mapping[str, Any]) -> str:
    return f"{percent(row['certified_coverage']['value'])} ({_wrong(row)})"


def _wrong(row: Mapping[str, Any]) -> str:
    found = row["certified_error"]
    return f"{percent(found['value'])} of {found['n']} wrong"
