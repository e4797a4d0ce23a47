"""A stored calibration is refused where it could not have been measured."""

from typing import Any

import pytest
from pydantic import ValidationError

from domain.calibration import Certificate, DebateGain

CERTIFICATE: dict[str, Any] = {
    "strategy": "plurality",
    "measure": "margin",
    "alpha": 0.05,
    "delta": 0.1,
    "threshold": 1.0,
    "cases": 0,
    "reason": "r",
}


@pytest.mark.parametrize(
    "edited",
    [
        {"threshold": -1.0},
        {"threshold": 0.0},
        {"threshold": 1.01},
        {"threshold": float("nan")},
        {"alpha": 0.0},
        {"alpha": 1.0},
        {"delta": -3},
        {"delta": 1.0},
        {"cases": -1},
        {"accepted": -1},
        {"errors": -1},
    ],
)
def test_bounds_of_a_certificate(edited: dict[str, Any]) -> None:
    assert Certificate.model_validate(CERTIFICATE).threshold == 1.0
    assert Certificate.model_validate({**CERTIFICATE, "threshold": None}).threshold is None
    with pytest.raises(ValidationError, match=next(iter(edited))):
        Certificate.model_validate({**CERTIFICATE, **edited})


def test_counts_are_not_negative() -> None:
    with pytest.raises(ValidationError, match="right_to_wrong"):
        DebateGain(cases=1, wrong_to_right=0, right_to_wrong=-1)
