"""Calibrate: what a subtask's recorded panels teach, from resolved tasks to a calibration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

from pydantic import ValidationError

from domain.calibration import Calibration, Certificate, DebateGain
from domain.errors import CalibrationRefused, InputError
from domain.model import Frozen
from domain.persona import Persona
from domain.proposal import Option, Proposal
from domain.task_type import CertifySpec, StrategySpec, SubtaskSpec, TaskType
from negotiation.calibration.cases import BlindRound, Case
from negotiation.calibration.certify import fewest_to_certify
from negotiation.calibration.debate import Debated, gain, leaders
from negotiation.calibration.fit import MOST_FIT, TEST_SHARE, split
from negotiation.calibration.fit import calibrate as fit_and_certify
from negotiation.calibration.reliability import reliabilities
from negotiation.conclusion import floor_of, open_options
from negotiation.force import to_calibrate
from negotiation.learned import learned_from
from negotiation.options import declared_options
from negotiation.settle import Terms, certification
from negotiation.strategies import STRATEGIES, rule_of
from storage.repositories.resolved import ResolvedRow
from tasks.contract import contract_of

LEAST_CASES = 30
"""Resolved cases below which nothing is fitted."""

LEAD = "lead_decides"


class Seat(Frozen):
    """Whose panel is calibrated, and what it has to keep."""

    task_type: str
    subtask: SubtaskSpec
    """With the strategy that a calibration is made for."""
    panel: dict[str, int]
    """Persona -> version, as the catalog has them now."""
    bound: CertifySpec
    """The error bound that is certified."""
    asked: bool
    """Whether the strategy decides above a certified threshold only."""

    @property
    def place(self) -> str:
        """The task type and its subtask."""
        return f"{self.task_type}/{self.subtask.id}"

    @property
    def options(self) -> tuple[str, ...]:
        """The declared options' names, in their order."""
        return tuple(option.name for option in declared_options(self.subtask))


class LeftOut(Frozen):
    """Resolved tasks that teach nothing, by why."""

    other_panel: int = 0
    """Personas or versions of them that are not on the panel now."""
    undeclared: int = 0
    """What was right is not a declared action."""
    repeated: int = 0
    """The same case was decided before: only its first decision counts. A case is the same where its key is, within
    the task type, whatever file it came from."""
    answered: int = 0
    """An outcome of the same case was known when it was decided: what is recalled may have told the panel."""
    unvoted: int = 0
    """Nobody's blind proposal is on record."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.other_panel + self.undeclared + self.repeated + self.answered + self.unvoted


@dataclass(frozen=True, slots=True)
class Debate:
    """The recorded rounds of one negotiation that held more than one."""

    right: str
    options: tuple[Option, ...]
    """As they stood in the last round."""
    rounds: tuple[tuple[Proposal, ...], ...]


@dataclass(frozen=True, slots=True)
class Material:
    """What the resolved tasks teach with."""

    cases: tuple[Case, ...]
    debates: Mapping[str, Debate] = field(default_factory=dict)
    """By the case's key."""
    left_out: LeftOut = field(default_factory=LeftOut)
    first_at: datetime | None = None
    last_at: datetime | None = None


def seat_of(kind: TaskType, personas: Mapping[str, Persona], alpha: float | None) -> Seat:
    """The seat of the answer's panel. `alpha` is for a task type that asks for no bound itself. Raises InputError."""
    spec = kind.subtask(kind.answer)
    spec = spec.model_copy(update={"strategy": to_calibrate(spec.strategy)})
    if len(spec.actions) < 2:
        raise InputError(f"{kind.name}/{spec.id} declares one action: there is nothing to be right or wrong about")
    if alpha is not None and not 0.0 < alpha < 1.0:
        raise InputError(f"alpha {alpha:g}: expected a share between 0 and 1, such as 0.05")
    asked = certification(spec.strategy)
    if asked is not None and alpha is not None and alpha != asked.alpha:
        # A certificate of another bound would not let it decide.
        raise InputError(f"alpha {alpha:g}: {kind.name}/{spec.id} certifies {asked.alpha:g}: change it in its strategy")
    bound = asked or (CertifySpec() if alpha is None else CertifySpec(alpha=alpha))
    panel = {persona: personas[persona].version for persona in spec.panel}
    return Seat(task_type=kind.name, subtask=spec, panel=panel, bound=bound, asked=asked is not None)


def to_material(seat: Seat, rows: Sequence[ResolvedRow]) -> Material:
    """The rows that the seat's panel can learn from, as cases: their blind votes, and what was right."""
    kept: dict[str, ResolvedRow] = {}
    left_out = dict.fromkeys(LeftOut.model_fields, 0)
    for row in sorted(rows, key=lambda row: (row.decided_at, row.task_id)):
        problem = _problem(seat, row)
        if problem is not None:
            left_out[problem] += 1
            continue
        # The same case twice would count as two witnesses, and could be fitted on and certified with at once.
        key = _key(row)
        if key in kept:
            left_out["repeated"] += 1
        else:
            kept[key] = row
    times = [row.decided_at for row in kept.values()]
    return Material(
        cases=tuple(_case(seat, key, row) for key, row in sorted(kept.items())),
        debates={key: _debate(seat, row) for key, row in sorted(kept.items()) if len(row.rounds) > 1},
        left_out=LeftOut(**left_out),
        first_at=min(times, default=None),
        last_at=max(times, default=None),
    )


def _key(row: ResolvedRow) -> str:
    return row.case_key or row.task_id


def _problem(seat: Seat, row: ResolvedRow) -> str | None:
    """Which count of `LeftOut` the row belongs to; None when it teaches."""
    if not row.rounds or not row.rounds[0]:
        return "unvoted"
    given = (proposal for one in row.rounds for proposal in one)
    if any(seat.panel.get(proposal.persona) != proposal.persona_version for proposal in given):
        return "other_panel"
    if row.right_action not in seat.options:
        return "undeclared"
    return "answered" if row.known_at < row.decided_at else None


def _case(seat: Seat, key: str, row: ResolvedRow) -> Case:
    floor = floor_of(seat.subtask, declared_options(seat.subtask), tuple(seat.panel), row.rounds[:1], overdue=False)
    blind = BlindRound(floor.ballot, row.stake, floor.widened)
    return Case(key=key, votes=floor.ballot.votes, right=row.right_action, blind=blind)


def _debate(seat: Seat, row: ResolvedRow) -> Debate:
    options = open_options(seat.subtask, declared_options(seat.subtask), row.rounds[:-1])
    return Debate(right=row.right_action, options=options, rounds=row.rounds)


def strategies_for(spec: StrategySpec, lead: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """The strategies that are measured, with their parameters: the subtask's own, and all others that need none.

    `lead`: the panel from the most reliable persona on, for the strategy that one of them decides in.
    """
    chosen: dict[str, Mapping[str, Any]] = {spec.name: spec.parameters}
    for name, strategy in STRATEGIES.items():
        parameters: Mapping[str, Any] = {"lead": list(lead)} if name == LEAD else {}
        try:
            strategy.Parameters.model_validate(parameters)
        except ValidationError:
            continue
        chosen.setdefault(name, parameters)
    return chosen


def own_rule(spec: StrategySpec) -> str:
    """The rule under which the strategy's certificate is found."""
    return rule_of(spec.name, spec.parameters)


def certificate_of(calibration: Calibration, rule: str) -> Certificate | None:
    """The certificate of that rule; None where the calibration did not measure it."""
    return next((found for found in calibration.certificates if found.strategy == rule), None)


def enough(material: Material) -> bool:
    """Whether there are cases enough to fit anything."""
    return len(material.cases) >= LEAST_CASES


def calibrate(seat: Seat, material: Material, seed: int) -> Calibration:
    """Fit, certify and measure on disjoint cases. Its version is 1 until it is stored.

    Raises CalibrationRefused where nothing can be learned: nobody voted.
    """
    options = seat.options
    if material.first_at is None or material.last_at is None:
        raise CalibrationRefused(f"{seat.place}: there is no case to calibrate on")
    try:
        strategies = strategies_for(seat.subtask.strategy, _lead(seat, material, seed))
        bound, rules = seat.bound, seat.subtask.strategy
        fitted = fit_and_certify(options, material.cases, strategies, bound.alpha, bound.delta, seed, rules=rules)
    except ValueError as problem:
        raise CalibrationRefused(f"{seat.place}: {problem}") from problem
    calibration = Calibration(
        task_type=seat.task_type,
        subtask_id=seat.subtask.id,
        version=1,
        strategy=seat.subtask.strategy.name,
        panel=seat.panel,
        options=len(options),
        contract=contract_of(seat.subtask),
        mean_rate=fitted.records.mean_rate,
        reliabilities=tuple(fitted.records.by_persona.values()),
        pool=fitted.pool,
        certificates=fitted.certificates,
        debate=DebateGain(cases=0, wrong_to_right=0, right_to_wrong=0),
        first_case_at=material.first_at,
        last_case_at=material.last_at,
        fit_cases=fitted.fit_cases,
        certify_cases=fitted.certify_cases,
        test_cases=fitted.test_cases,
        figures=fitted.figures,
        seed=seed,
    )
    return calibration.model_copy(update={"debate": debate_gain(seat, material, calibration, seed)})


def _lead(seat: Seat, material: Material, seed: int) -> list[str]:
    """The panel, the most reliable first; found on the fit cases alone, so that certifying stays fair."""
    rates = reliabilities(split(material.cases, seed).fit, len(seat.options))
    known = rates.by_persona
    return sorted(seat.panel, key=lambda persona: (-known[persona].rate if persona in known else 0.0, persona))


def debate_gain(seat: Seat, material: Material, calibration: Calibration, seed: int) -> DebateGain:
    """What the later rounds changed, as the subtask's own strategy counts. One that learns counts on unseen cases."""
    spec, terms = seat.subtask.strategy, Terms(learned=learned_from(calibration))
    learns = STRATEGIES[spec.name].needs != "nothing"
    fitted = {case.key for case in split(material.cases, seed).fit} if learns else set()
    return gain(_debated(seat, debate, spec, terms) for key, debate in material.debates.items() if key not in fitted)


def _debated(seat: Seat, debate: Debate, spec: StrategySpec, terms: Terms) -> Debated:
    actions = {option.name: option.action for option in debate.options}
    led = leaders(spec, debate.options, tuple(seat.panel), debate.rounds, terms)
    # What turned out to be right is an action: a counter-proposal of it, with other arguments, is right too.
    return Debated(right=debate.right, leaders=tuple(None if name is None else actions[name] for name in led))


def cases_for(certifying: int) -> int:
    """How many resolved cases leave so many to certify with, beside those that are fitted and measured on."""
    rest = next(size for size in count(certifying) if size - int(size * TEST_SHARE) >= certifying)
    return rest + min(rest, MOST_FIT)


def cases_needed(bound: CertifySpec) -> int:
    """How many resolved cases it takes, at the least, to certify the bound."""
    return max(LEAST_CASES, cases_for(fewest_to_certify(bound.alpha, bound.delta)))
