"""A calibration for people to read: its figures as rows, and in words whether it certifies."""

from collections.abc import Iterator, Sequence

from domain.calibration import Calibration, Certificate, DebateGain
from domain.model import Frozen
from negotiation.calibration.certify import fewest_to_certify
from tasks.calibrate import LEAST_CASES, LeftOut, Material, Seat, cases_for, cases_needed, certificate_of, own_rule

NONE = "-"
PERSONA_COLUMNS = ("persona", "cases", "right", "rate", "stated", "calibration error", "alarm")
STRATEGY_COLUMNS = ("strategy", "accuracy", "AURC", "calibration error", "certified at", "coverage", "error")

_WHY_LEFT_OUT = {
    "other_panel": "decided by other personas or other versions of them",
    "undeclared": "what was right is not a declared action",
    "repeated": "the same case, decided before",
    "answered": "decided when an outcome of the same case was known",
    "unvoted": "no blind vote on record",
}

Row = tuple[str, ...]


class Report(Frozen):
    """What calibrating came to."""

    task_type: str
    subtask_id: str
    rule: str
    """The subtask's own strategy with its parameters."""
    alpha: float
    delta: float
    cases: int
    """Resolved cases that count."""
    needed: int
    """Least number of resolved cases that can certify."""
    left_out: LeftOut
    calibration: Calibration | None
    """None where there are too few cases to fit."""
    stored: bool
    """As the shadow, under the calibration's version."""
    certifies: bool
    """Whether the subtask's own strategy has a threshold."""
    words: str


def describe(seat: Seat, material: Material, calibration: Calibration | None, *, stored: bool) -> Report:
    """The report, with the verdict in words."""
    rule = own_rule(seat.subtask.strategy)
    own = None if calibration is None else certificate_of(calibration, rule)
    return Report(
        task_type=seat.task_type,
        subtask_id=seat.subtask.id,
        rule=rule,
        alpha=seat.bound.alpha,
        delta=seat.bound.delta,
        cases=len(material.cases),
        needed=cases_needed(seat.bound),
        left_out=material.left_out,
        calibration=calibration,
        stored=stored,
        certifies=own is not None and own.threshold is not None,
        words=_too_few(seat, material) if calibration is None else verdict(calibration, rule, asked=seat.asked),
    )


def _too_few(seat: Seat, material: Material) -> str:
    bound = seat.bound
    return (
        f"{seat.place} has {len(material.cases)} resolved cases that count; {LEAST_CASES} are needed to fit, and "
        f"{cases_needed(bound)} at the least to certify {bound.alpha:.3g}: "
        f"{fewest_to_certify(bound.alpha, bound.delta)} of them to certify with, the others to fit and to measure. "
        "Record outcomes with `parley outcome`"
    )


def verdict(calibration: Calibration, rule: str, *, asked: bool) -> str:
    """Whether the strategy may decide without a person, and on which cases. `asked`: whether it needs a certificate."""
    said = _verdict(calibration, rule, "everything goes to people" if asked else "no threshold can be promised")
    if asked:
        return said
    return f"{said} The task type asks for no certificate: it decides as it did (`certify` in its strategy asks)."


def _verdict(calibration: Calibration, rule: str, otherwise: str) -> str:
    own = certificate_of(calibration, rule)
    if own is None:
        return f"{rule} was not measured: {otherwise}."
    if own.threshold is not None:
        figures = calibration.figures.get(rule)
        measured = ""
        if figures is not None:
            coverage, error = percent(figures["certified_coverage"]), percent(figures["certified_error"])
            measured = f"; on {calibration.test_cases} test cases it decides {coverage}, {error} of them wrong"
        return f"{rule} may decide from a {own.measure} of {own.threshold:.4g} on: {own.reason}{measured}."
    more = cases_for(fewest_to_certify(own.alpha, own.delta)) - _cases(calibration)
    missing = (
        f"{more} more resolved cases are needed at the least."
        if more > 0
        else "there are cases enough; the panel errs too often where it is surest."
    )
    return f"nothing certifies {rule}: {otherwise}. {_sentence(own.reason)} {missing}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _cases(calibration: Calibration) -> int:
    return calibration.fit_cases + calibration.certify_cases + calibration.test_cases


def persona_rows(calibration: Calibration) -> list[Row]:
    """One row per persona, under PERSONA_COLUMNS."""
    return [
        (
            one.persona,
            str(one.cases),
            str(one.hits),
            percent(one.rate),
            percent(one.stated),
            number(one.calibration_error),
            "below chance" if one.below_chance else NONE,
        )
        for one in calibration.reliabilities
    ]


def strategy_rows(calibration: Calibration, rule: str) -> list[Row]:
    """One row per strategy, under STRATEGY_COLUMNS; the subtask's own first, marked."""
    ordered = sorted(calibration.certificates, key=lambda found: (found.strategy != rule, found.strategy))
    return [_strategy_row(calibration, found, found.strategy == rule) for found in ordered]


def _strategy_row(calibration: Calibration, found: Certificate, own: bool) -> Row:
    figures = calibration.figures.get(found.strategy, {})
    certified = found.threshold is not None
    return (
        f"{found.strategy} *" if own else found.strategy,
        percent(figures.get("accuracy")),
        number(figures.get("aurc")),
        number(figures.get("calibration_error")),
        f"{found.measure} {found.threshold:.4g}" if certified else NONE,
        percent(figures.get("certified_coverage")) if certified else NONE,
        percent(figures.get("certified_error")) if certified else NONE,
    )


def lines(report: Report) -> Iterator[str]:
    """What is said beside the tables, the verdict last."""
    out = report.left_out.model_dump()
    parts = [f"{count} ({_WHY_LEFT_OUT[why]})" for why, count in out.items() if count]
    yield f"left out: {', '.join(parts) or 'none'}"
    found = report.calibration
    if found is not None:
        yield f"cases: {found.fit_cases} to fit, {found.certify_cases} to certify, {found.test_cases} to measure"
        yield f"decided from {found.first_case_at:%Y-%m-%d %H:%M} to {found.last_case_at:%Y-%m-%d %H:%M} UTC"
        yield debate(found.debate)
        yield f"stored as version {found.version}, a shadow" if report.stored else "a dry run: nothing is stored"
    yield report.words


def debate(gain: DebateGain) -> str:
    """What the later rounds were worth."""
    if gain.cases == 0:
        return "debate: no resolved case that counts held a second round"
    worth = {True: "debate pays", False: "debate does not pay", None: "too few to say whether debate pays"}[gain.pays]
    changed = f"{gain.wrong_to_right} from wrong to right, {gain.right_to_wrong} from right to wrong"
    return f"debate, on {gain.cases} cases with more than one round: {changed}; {worth}"


def as_markdown(report: Report) -> str:
    """The report as Markdown."""
    parts = [f"## Calibration of {report.task_type}/{report.subtask_id}"]
    if report.calibration is not None:
        parts.append(_table(PERSONA_COLUMNS, persona_rows(report.calibration)))
        parts.append(_table(STRATEGY_COLUMNS, strategy_rows(report.calibration, report.rule)))
    parts.append("\n".join(f"- {line}" for line in lines(report)))
    return "\n\n".join(parts) + "\n"


def _table(columns: Sequence[str], rows: Sequence[Row]) -> str:
    head = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    return "\n".join([*head, *(f"| {' | '.join(row)} |" for row in rows)])


def percent(share: float | None) -> str:
    """A share as a percentage with one decimal."""
    return NONE if share is None else f"{100 * share:.1f} %"


def number(value: float | None) -> str:
    """A plain figure."""
    return NONE if value is None else f"{value:.3f}"
