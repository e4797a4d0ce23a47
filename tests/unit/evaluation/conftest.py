"""Figures to write about."""

import pytest

from evaluation.metrics import Bin, PilotMetrics, Segment, WorstCase
from evaluation.rates import pairing, rate


@pytest.fixture
def metrics() -> PilotMetrics:
    return PilotMetrics(
        total=100,
        ended=98,
        decided_alone=80,
        successes=70,
        outcomes_known=100,
        escalated=20,
        parked=2,
        parked_oldest_seconds=7300,
        success_all=rate(70, 100),
        success_decided=rate(70, 80),
        coverage=rate(80, 100),
        escalation=rate(20, 100),
        sla=rate(98, 98),
        latency_p50_s=0.5,
        latency_p95_s=190.0,
        rounds={1: 75, 2: 25},
        debate={1: pairing(7, 3, 25)},
        verdicts={"<script>alert(1)</script>": {"deny": 3}},
        statuses={"done": 98, "parked": 2},
        baselines={
            "always:approve": rate(50, 100),
            "always:decline": rate(50, 100),
            "best_persona:risk": rate(60, 100),
        },
        personas={"risk": rate(60, 100)},
        pairings={
            "always:approve": pairing(30, 10, 100),
            "always:decline": pairing(40, 20, 100),
            "best_persona:risk": pairing(14, 4, 100),
        },
        brier=0.18,
        calibration_error=0.07,
        calibration=(Bin(n=60, confidence=0.65, accuracy=0.6), Bin(n=140, confidence=0.95, accuracy=0.9)),
        tokens=7000,
        segments=(Segment(strategy="plurality", total=100, success=rate(70, 100), escalation=rate(20, 100)),),
        worst=(WorstCase(task_id="t|1", answer="approve", right_action="decline", margin=0.9, rounds=1),),
    )
