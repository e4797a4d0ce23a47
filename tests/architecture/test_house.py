"""The house rules that no other tool checks."""

import ast
import tomllib
from pathlib import Path

import pytest
import yaml

from domain.settings import ROOT

MAX_LINES = 300
PACKAGES: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["packages"]


def _files() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def test_every_package_is_checked_and_shipped() -> None:
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"bench", "tests"}
    shipped = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert found == set(PACKAGES) == set(shipped["packages"])


def test_every_folder_of_code_is_a_package() -> None:
    assert [_name(path.parent) for path in _files() if not (path.parent / "__init__.py").is_file()] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_says_what_it_is(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    assert [_name(path) for path in files if not ast.get_docstring(_tree(path))] == []


def test_files_stay_short() -> None:
    long = {_name(path) for path in _files() if len(path.read_text().splitlines()) > MAX_LINES}
    assert long == set()


def test_nothing_is_left_to_be_done() -> None:
    words = ("TODO", "FIXME", "XXX", "NotImplementedError")
    assert [_name(path) for path in _files() if any(word in path.read_text() for word in words)] == []


def test_nothing_is_swallowed() -> None:
    """No bare `except:`, and no handler of Exception that does nothing."""
    found = []
    for path in _files():
        for node in ast.walk(_tree(path)):
            if not isinstance(node, ast.ExceptHandler):
                continue
            broad = node.type is None or (isinstance(node.type, ast.Name) and node.type.id.endswith("Exception"))
            silent = all(isinstance(one, ast.Pass) for one in node.body)
            if node.type is None or (broad and silent):
                found.append(f"{_name(path)}:{node.lineno}")
    assert found == []


def test_deployments_are_named_as_their_flow_files() -> None:
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    assert deployments
    for deployment in deployments:
        module, flow = deployment["entrypoint"].rsplit(".", 1)
        file = ROOT / f"{module.replace('.', '/')}.py"
        assert (deployment["name"], file.stem) == (flow, flow)
        functions = [node for node in _tree(file).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        assert flow in [one.name for one in functions if any("flow" in ast.dump(mark) for mark in one.decorator_list)]
