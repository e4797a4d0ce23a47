"""Parts that are installed only when asked for: selecting one that is not there is told when the catalog is loaded."""

from importlib.util import find_spec
from pathlib import Path

from domain.errors import CatalogError
from domain.task_type import TaskType


def require(task_type: TaskType, path: str, module: str, extra: str) -> None:
    """Raises CatalogError where the module that `path` selects is not installed. Imports nothing."""
    if find_spec(module) is None:
        file = Path(task_type.folder) / "task_type.yaml"
        raise CatalogError(str(file), path, f"the extra {extra!r} installed (pip install 'parley[{extra}]')")
