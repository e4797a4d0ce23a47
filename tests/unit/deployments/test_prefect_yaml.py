"""prefect.yaml: a deployment, its flow's file and its flow share one name."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.deploy import fingerprint
from deployments.prefect_server import WORK_POOL
from domain.settings import ROOT

CONTENT: dict[str, Any] = yaml.safe_load((ROOT / "prefect.yaml").read_text())
DEPLOYMENTS: list[dict[str, Any]] = CONTENT["deployments"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda deployment: str(deployment["name"]))
def test_one_name(deployment: dict[str, Any]) -> None:
    name = deployment["name"]
    assert deployment["entrypoint"] == f"flows.{name}.{name}"
    assert deployment["work_pool"]["name"] == WORK_POOL
    assert (ROOT / "flows" / f"{name}.py").is_file()


def test_every_flow_is_deployed() -> None:
    # Other modules of the folder hold what several flows share.
    flows = {path.stem for path in (ROOT / "flows").glob("*.py") if f"def {path.stem}(" in path.read_text()}
    assert {deployment["name"] for deployment in DEPLOYMENTS} == flows


def test_the_code_is_read_where_it_lies() -> None:
    step = CONTENT["pull"][0]["prefect.deployments.steps.set_working_directory"]
    assert step["directory"] == "{{ $PARLEY_ROOT }}"


def test_the_fingerprint_follows_the_file_and_the_flows(tmp_path: Path) -> None:
    (tmp_path / "flows").mkdir()
    (tmp_path / "prefect.yaml").write_text("a")
    (tmp_path / "flows/work.py").write_text("b")
    first = fingerprint(tmp_path)
    assert fingerprint(tmp_path) == first
    (tmp_path / "flows/work.py").write_text("c")
    second = fingerprint(tmp_path)
    (tmp_path / "prefect.yaml").write_text("d")
    assert len({first, second, fingerprint(tmp_path)}) == 3
