"""The claims pilot with a payout that decides by a calibration, and calibrations made by hand."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import text

from domain.calibration import Calibration, CalibrationStatus, Certificate, DebateGain, Pool, PoolWeight, Reliability
from orchestration.run import Runtime
from storage.repositories import calibrations
from tests.integration.five_subtasks import CLAIM, write_claims

PANEL = {"pay_a": 1, "pay_b": 1}
AGREED: dict[str, Any] = {**CLAIM, "reports": 0, "amount": 500}
"""Both vote to pay: a posterior of e^4 / (e^4 + 1) = 0.982."""
SPLIT: dict[str, Any] = {**AGREED, "amount": 1}
"""The stronger one alone votes to reject: e^3 / (e^3 + e) = 0.881."""
_ALPHA = 0.05


def write_calibrated(root: Path, **strategy: Any) -> Path:
    """The catalog's folder; `strategy` goes into the payout's strategy."""
    catalog = write_claims(root)
    file = catalog / "claim" / "task_type.yaml"
    kind = yaml.safe_load(file.read_text())
    kind["outcome_map"] = {"due": "pay", "not_due": "reject"}
    payout = next(one for one in kind["plan"]["subtasks"] if one["id"] == "payout")
    payout["strategy"] = {"name": "calibrated_pool", **strategy}
    file.write_text(yaml.safe_dump(kind, sort_keys=False))
    return catalog


def new_version(catalog: Path, persona: str) -> None:
    """Raise the persona's version."""
    file = catalog / "claim" / "personas" / f"{persona}.yaml"
    given = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**given, "version": given["version"] + 1}, sort_keys=False))


def calibration(
    version: int,
    threshold: float | None = 0.95,
    panel: dict[str, int] | None = None,
    last_case_at: datetime | None = None,
) -> Calibration:
    """A calibration of the payout's panel."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    certificate = Certificate(
        strategy="calibrated_pool",
        measure="posterior",
        alpha=_ALPHA,
        delta=0.1,
        threshold=threshold,
        cases=100,
        accepted=60,
        errors=0,
        reason="0 of 60 accepted cases were wrong",
    )
    weights = {name: PoolWeight(base=base, slope=0.0, centre=0.0) for name, base in (("pay_a", 3.0), ("pay_b", 1.0))}
    return Calibration(
        task_type="claim",
        subtask_id="payout",
        version=version,
        strategy="calibrated_pool",
        panel=panel or PANEL,
        options=2,
        mean_rate=0.8,
        reliabilities=tuple(Reliability(persona=name, cases=100, hits=80, rate=0.8) for name in PANEL),
        pool=Pool(
            weights=weights, stranger=PoolWeight(base=0.0, slope=0.0, centre=0.0), scale=0.5, ridge=1.0, cases=100
        ),
        certificates=(certificate,),
        debate=DebateGain(cases=0, wrong_to_right=0, right_to_wrong=0),
        first_case_at=at,
        last_case_at=last_case_at or at,
        fit_cases=100,
        certify_cases=100,
        test_cases=100,
        figures={},
        seed=1,
    )


async def blind_reason(runtime: Runtime, task_id: str) -> str:
    """How the blind round ended, as its event says."""
    sql = text("SELECT data ->> 'reason' FROM events WHERE task_id = :id AND key = :key")
    async with runtime.engine.connect() as connection:
        return str((await connection.execute(sql, {"id": task_id, "key": "negotiate:payout:0"})).scalar_one())


async def status_of(runtime: Runtime, version: int) -> CalibrationStatus:
    """Where the payout's calibration stands."""
    async with runtime.engine.connect() as connection:
        return (await calibrations.find(connection, "claim", "payout", version)).status
