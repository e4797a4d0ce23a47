"""What a webhook's parameters may declare of its target."""

from typing import Any

import pytest

from domain.action import Askable, ExecutorKind
from domain.errors import ExecutorRejected
from tasks.executors.webhook import Webhook
from tasks.outbound import Outbound

URL = "https://pay.example:8443/act"


def _webhook() -> Webhook:
    return Webhook(None, Outbound([]))  # type: ignore[arg-type]


def _ability(**parameters: Any) -> Any:
    return _webhook().ability({"url": URL, **parameters})


def test_a_target_honours_keys_unless_declared_otherwise() -> None:
    ability = _ability()
    assert (ability.kind, ability.target, ability.max_send_seconds) == (
        ExecutorKind.DEDUP,
        "webhook pay.example:8443",
        0.0,
    )


def test_a_target_that_can_be_asked_says_where_and_how_long_a_send_may_take() -> None:
    ability = _ability(kind="query", query_url="https://pay.example/ask", max_send_seconds=90)
    assert (ability.kind, ability.max_send_seconds) == (ExecutorKind.QUERY, 90)
    assert isinstance(_webhook(), Askable)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "query"},
        {"query_url": "https://pay.example/ask"},
        {"kind": "blind", "query_url": "https://pay.example/ask"},
        {"kind": "query", "query_url": "ftp://pay.example"},
        {"kind": "query", "query_url": "https://pay.example", "timeout_seconds": 20, "max_send_seconds": 10},
        {"kind": "hopeful"},
        {"url": "file:///etc/passwd"},
        {"retries": 3},
    ],
)
def test_what_does_not_go_together_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ExecutorRejected, match="webhook parameters"):
        _ability(**wrong)
