"""The demo's second phase: what its activated strategy decided, and what every other would have made of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from control_plane.services.compare import CompareRequest, compare_strategies
from domain.calibration import Calibration
from domain.task_type import TaskType
from evaluation.compared_blind import SIGNIFICANT
from evaluation.rates import Rate, difference, unpaired_p
from evaluation.words import change, percent
from negotiation.force import to_calibrate
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
    return {
        "compared": compared,
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
    now, before = (Rate(**found[name]["success_decided"]) for name in ("metrics", "reference"))
    moved, p = difference(now, before), unpaired_p(now, before)
    if moved is None or p is None:
        return None
    return {"difference": moved.model_dump(mode="json"), "p": p, "words": _moved(now, before, change(moved), p)}


def _moved(now: Rate, before: Rate, changed: str, p: float) -> str:
    verdict = "more than noise explains" if p < SIGNIFICANT else "within noise: no gain or loss can be claimed from it"
    return (
        f"right where decided alone: {percent(before.value)} of {before.n} before, {percent(now.value)} of {now.n} "
        f"now, on other cases: {changed}, p = {p:.2g}: {verdict}"
    )
