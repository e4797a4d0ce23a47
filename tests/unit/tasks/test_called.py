"""Which hosts a catalog calls, and which of them the setting does not name."""

from pathlib import Path
from typing import Any

from catalog.load import Catalog, load_catalog
from domain.hosts import AllowedHost
from tasks.called import not_allowed
from tasks.executors import EXECUTORS
from tests.integration.acting import write_steps


def _catalog(root: Path) -> Catalog:
    def hook(host: str) -> dict[str, Any]:
        return {"executor": "webhook", "parameters": {"url": f"https://{host}/act"}}

    asked = {"url": "https://shop.example/a", "kind": "query", "query_url": "http://Asked.example:8080/b"}
    steps = {
        "book": {"executor_parameters": asked, "compensate": hook("undo.example"), "fallback": hook("other.example")},
        "pay": {"executor_parameters": {"url": "https://b\u00fccher.example"}, "compensate": "cancel"},
        "ship": {"executor_parameters": {"url": "https://user@shop.example/c"}},
        "note": {"executor": "record_decision"},
    }
    return load_catalog(write_steps(root, steps, approvals={"notify": "https://hooks.example/T0/token"}), EXECUTORS)


def test_every_url_of_a_catalog_counts_and_each_host_is_told_once(tmp_path: Path) -> None:
    found = not_allowed(_catalog(tmp_path), (), "https://usual.example/token")
    assert {one.host: one.by for one in found} == {
        "usual.example": "notices",
        "hooks.example": "notices of claim",
        "shop.example": "claim.book, claim.ship",
        "asked.example:8080": "claim.book",
        "other.example": "claim.book",
        "undo.example": "claim.book",
        "xn--bcher-kva.example": "claim.pay",
    }
    assert "token" not in str(found)


def test_what_is_named_is_not_told(tmp_path: Path) -> None:
    hosts = [AllowedHost.read(one) for one in ("*.example", "asked.example:*")]
    assert not_allowed(_catalog(tmp_path), hosts, None) == []
