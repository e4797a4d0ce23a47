"""What a task type says of undoing, fallbacks and breakers."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from domain.acting import BreakerSpec, CompensateSpec


def test_a_bare_name_is_an_action_for_the_own_executor() -> None:
    spec = CompensateSpec.model_validate("refund")
    assert (spec.action, spec.executor, spec.parameters) == ("refund", None, {})


def test_parameters_need_their_executor() -> None:
    with pytest.raises(ValidationError, match="name it"):
        CompensateSpec.model_validate({"parameters": {"url": "https://a.example"}})
    spec = CompensateSpec.model_validate({"executor": "webhook", "parameters": {"url": "https://a.example"}})
    assert spec.executor == "webhook"


@pytest.mark.parametrize("wrong", [{"failures": 0}, {"wait": timedelta(0)}, {"wait": "PT-1S"}, {"open": True}])
def test_a_breaker_has_a_limit_and_a_wait(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        BreakerSpec.model_validate(wrong)
