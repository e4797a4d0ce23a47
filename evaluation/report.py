"""The stakeholder report: one self-contained HTML page, and the same in markdown."""

from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from domain.model import Frozen
from domain.task_type import TaskType
from evaluation import words
from evaluation.drift import DriftResult
from evaluation.metrics import METRICS_VERSION, PilotMetrics
from evaluation.period import Period
from evaluation.quality import Quality
from evaluation.table import figures
from evaluation.targets import verdicts

_TEMPLATES = Path(__file__).parent / "templates"


class Subject(Frozen):
    """What a report is about."""

    report_id: str
    task_type: TaskType
    period: Period
    reference_period: Period | None
    made_at: datetime


class Rendered(Frozen):
    """Where the report lies."""

    html_path: str
    markdown_path: str
    markdown: str


def render(
    metrics: PilotMetrics,
    reference: PilotMetrics | None,
    quality: Quality,
    drift: DriftResult,
    *,
    subject: Subject,
    folder: Path,
) -> Rendered:
    """Write report.html and report.md into the folder."""
    values: dict[str, Any] = {
        "subject": subject,
        "metrics": metrics,
        "reference": reference,
        "quality": quality,
        "drift": drift,
        "drift_link": _relative(Path(drift.html_path), folder),
        "verdicts": verdicts(metrics, reference),
        "rows": figures(metrics, reference),
        "metrics_version": METRICS_VERSION,
        "best_baseline": metrics.best_baseline(),
    }
    environment = _environment()
    folder.mkdir(parents=True, exist_ok=True)
    html, markdown = folder / "report.html", folder / "report.md"
    html.write_text(environment.get_template("report.html.j2").render(values), encoding="utf-8")
    text = environment.get_template("report.md.j2").render(values)
    markdown.write_text(text, encoding="utf-8")
    return Rendered(html_path=str(html), markdown_path=str(markdown), markdown=text)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=words.percent, interval=words.interval, seconds=words.seconds, number=words.number, cell=words.cell
    )
    return environment


def _relative(path: Path, folder: Path) -> str:
    # Relative where it can be, so that a report that is moved as a folder keeps its links.
    return path.name if path.parent == folder else path.as_uri()
