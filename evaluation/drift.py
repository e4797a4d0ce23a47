"""Whether what comes in and goes out has moved since the reference period."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from domain.model import Frozen

if TYPE_CHECKING:
    import pandas as pd

MIN_ROWS = 30
"""Below this, distances between samples say more about chance than about drift."""
_DISTANCE = 0.1
_MISSING_SHARE = 0.05
_MAX_CATEGORIES = 50


class DriftTest(Frozen):
    """One test of the report."""

    name: str
    status: str
    """SUCCESS, FAIL, ERROR, WARNING or SKIPPED, as Evidently says it."""
    description: str


class DriftResult(Frozen):
    """Evidently's report."""

    html_path: str
    json_path: str
    passed: int
    failed: int
    tests: tuple[DriftTest, ...]
    compared: bool
    """Whether there was a reference to compare with."""
    left_out: tuple[str, ...]
    """Columns that could not be tested, each with the reason."""


def evidently_report(current: "pd.DataFrame", reference: "pd.DataFrame | None", folder: Path) -> DriftResult:
    """Write evidently.html and evidently.json into the folder. A reference under MIN_ROWS is not compared with."""
    # Imported here because Evidently takes 7-10 s of CPU, which no other command should pay.
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import MissingValueCount, RowCount, ValueDrift
    from evidently.tests import gte, lt, lte

    if reference is not None and (len(reference) < MIN_ROWS or len(current) < MIN_ROWS):
        reference = None
    numeric, categorical, left_out = _columns(current, reference)
    metrics: list[Any] = [RowCount(tests=[gte(MIN_ROWS)])]
    metrics += [
        MissingValueCount(column=name, share_tests=[lte(_MISSING_SHARE)])
        for name in (*numeric, *categorical)
        if name.startswith("input.")
    ]
    if reference is not None:
        metrics += [ValueDrift(column=c, method="wasserstein", tests=[lt(_DISTANCE)]) for c in numeric]
        metrics += [ValueDrift(column=c, method="jensenshannon", tests=[lt(_DISTANCE)]) for c in categorical]
    definition = DataDefinition(numerical_columns=numeric, categorical_columns=categorical)
    datasets = [
        None if frame is None else Dataset.from_pandas(_typed(frame, numeric, categorical), data_definition=definition)
        for frame in (current, reference)
    ]
    run = Report(metrics, include_tests=True).run(*datasets)
    folder.mkdir(parents=True, exist_ok=True)
    html, json = folder / "evidently.html", folder / "evidently.json"
    run.save_html(str(html))
    run.save_json(str(json))
    tests = tuple(
        DriftTest(name=test["name"], status=str(test["status"].value), description=test["description"])
        for test in run.dict()["tests"]
    )
    passed = sum(test.status == "SUCCESS" for test in tests)
    return DriftResult(
        html_path=str(html),
        json_path=str(json),
        passed=passed,
        failed=len(tests) - passed,
        tests=tests,
        compared=reference is not None,
        left_out=left_out,
    )


def _columns(current: "pd.DataFrame", reference: "pd.DataFrame | None") -> tuple[list[str], list[str], tuple[str, ...]]:
    """Numeric and categorical columns, and those that cannot be tested."""
    import pandas as pd

    numeric, categorical, left_out = [], [], []
    frames = [frame for frame in (current, reference) if frame is not None]
    for name in current.columns:
        values = pd.concat([frame[name] for frame in frames]).dropna()
        if any(frame[name].dropna().empty for frame in frames):
            left_out.append(f"{name}: no values")
        elif pd.api.types.is_numeric_dtype(values.infer_objects()) and not pd.api.types.is_bool_dtype(values):
            numeric.append(name)
        elif values.astype(str).nunique() <= _MAX_CATEGORIES:
            categorical.append(name)
        else:
            left_out.append(f"{name}: more than {_MAX_CATEGORIES} different values")
    return numeric, categorical, tuple(left_out)


def _typed(frame: "pd.DataFrame", numeric: list[str], categorical: list[str]) -> "pd.DataFrame":
    import pandas as pd

    typed = pd.DataFrame({name: pd.to_numeric(frame[name]).astype(float) for name in numeric}, index=frame.index)
    for name in categorical:
        typed[name] = frame[name].map(str, na_action="ignore").astype(object)
    return typed
