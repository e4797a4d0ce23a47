"""Loads a folder of pilots: one subfolder with a task_type.yaml for each."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from catalog.facts import read_facts
from catalog.schemas import SchemaProblem, check_schema
from catalog.yaml_files import broken, dotted, read_yaml
from domain.action import Parametrised
from domain.errors import CatalogError, UnknownTaskType
from domain.memory import Memory
from domain.persona import Persona
from domain.task_type import TaskType
from guardrails.gate import CedarGate, load_gate
from guardrails.shared import check_shared
from negotiation.validation import check_strategy
from personas.loading import load_personas
from personas.panel import Panelist
from planning.validation import PlanProblem, validate_plan

FILE = "task_type.yaml"


@dataclass(frozen=True)
class Pilot:
    """A task type with all that its folder holds."""

    task_type: TaskType
    panelists: Mapping[str, Panelist]
    """By persona id."""
    gate: CedarGate
    facts: tuple[Memory, ...]


class Catalog:
    """The task types that can be run. Every look-up by an unknown name raises UnknownTaskType."""

    def __init__(self, pilots: Mapping[str, Pilot]) -> None:
        self._pilots = dict(pilots)

    def names(self) -> tuple[str, ...]:
        """The task types' names, sorted."""
        return tuple(sorted(self._pilots))

    def limits(self) -> dict[str, int]:
        """How many tasks of these types may run at once; types without a limit are not in it."""
        limits = {name: pilot.task_type.plan.max_running for name, pilot in self._pilots.items()}
        return {name: most for name, most in limits.items() if most is not None}

    def task_type(self, name: str) -> TaskType:
        """The task type of that name."""
        return self._pilot(name).task_type

    def panelists(self, name: str, subtask_id: str) -> tuple[Panelist, ...]:
        """The subtask's panel in its declared order. Raises KeyError for an unknown subtask."""
        pilot = self._pilot(name)
        return tuple(pilot.panelists[persona] for persona in pilot.task_type.subtask(subtask_id).panel)

    def personas(self, name: str) -> dict[str, Persona]:
        """The pilot's personas by id."""
        return {persona: panelist.persona for persona, panelist in self._pilot(name).panelists.items()}

    def gate(self, name: str) -> CedarGate:
        """The task type's gate."""
        return self._pilot(name).gate

    def facts(self, name: str) -> tuple[Memory, ...]:
        """The task type's facts."""
        return self._pilot(name).facts

    def reseated(self, name: str, seat: Callable[[Panelist], Panelist]) -> "Catalog":
        """The same with other panelists of the task type: for a red team. No file can ask for one of these."""
        pilot = self._pilot(name)
        panelists = {persona: seat(panelist) for persona, panelist in pilot.panelists.items()}
        return Catalog({**self._pilots, name: replace(pilot, panelists=panelists)})

    def _pilot(self, name: str) -> Pilot:
        if name not in self._pilots:
            raise UnknownTaskType(f"there is no task type {name!r}; known: {', '.join(self.names())}")
        return self._pilots[name]


def load_catalog(folder: Path, executors: Mapping[str, Parametrised]) -> Catalog:
    """Every pilot in the folder, checked whole. Raises CatalogError for the first problem."""
    files = sorted(folder.glob(f"*/{FILE}")) if folder.is_dir() else []
    if not files:
        raise CatalogError(str(folder), "", f"a folder with at least one pilot, each with a {FILE}")
    pilots: dict[str, Pilot] = {}
    for file in files:
        pilot = _load_pilot(file, executors)
        name = pilot.task_type.name
        if name in pilots:
            raise CatalogError(str(file), "name", f"a name of its own, got {name!r} of {pilots[name].task_type.folder}")
        pilots[name] = pilot
    check_shared(folder / "policies.cedar", [pilot.gate.policies for pilot in pilots.values()])
    return Catalog(pilots)


def _load_pilot(file: Path, executors: Mapping[str, Parametrised]) -> Pilot:
    task_type = _read_task_type(file)
    folder = Path(task_type.folder)
    _check_schema(file, task_type)
    personas = load_personas(folder)
    _check_plan(file, task_type, personas, executors)
    _check_parameters(file, task_type, executors)
    _check_strategies(file, task_type)
    _check_views(folder, task_type, personas)
    return Pilot(
        task_type=task_type,
        panelists={name: Panelist.build(persona, folder) for name, persona in personas.items()},
        gate=load_gate(task_type),
        facts=read_facts(folder / "facts.yaml", task_type.name),
    )


def _read_task_type(file: Path) -> TaskType:
    value = read_yaml(file)
    if not isinstance(value, dict):
        raise CatalogError(str(file), "", "a mapping")
    if "folder" in value:
        raise CatalogError(str(file), "folder", "no such field: it is where the file lies")
    try:
        return TaskType.model_validate({**value, "folder": str(file.parent)})
    except ValidationError as error:
        raise broken(file, error) from error


def _check_schema(file: Path, task_type: TaskType) -> None:
    try:
        check_schema(task_type.payload_schema)
    except SchemaProblem as problem:
        raise CatalogError(str(file), dotted(["payload_schema", *problem.location]), problem.expected) from problem


def _check_plan(file: Path, task_type: TaskType, personas: Collection[str], executors: Collection[str]) -> None:
    try:
        validate_plan(task_type, personas, executors)
    except PlanProblem as problem:
        raise CatalogError(str(file), problem.path, problem.expected) from problem


def _check_parameters(file: Path, task_type: TaskType, executors: Mapping[str, Parametrised]) -> None:
    """Of each executor that is named: what is wrong must not come out first when it is to act."""
    for index, spec in enumerate(task_type.plan.subtasks):
        for named in spec.executors():
            try:
                executors[named.executor].parameters.model_validate(named.parameters)
            except ValidationError as error:
                raise broken(file, error, ("plan", "subtasks", index, *named.place)) from error


def _check_strategies(file: Path, task_type: TaskType) -> None:
    for index, spec in enumerate(task_type.plan.subtasks):
        try:
            actions = [action.name for action in spec.actions]
            stake_known, answers = task_type.stake_field is not None, spec.id == task_type.answer
            check_strategy(spec.strategy, actions, spec.panel, stake_known=stake_known, answers=answers)
        except ValueError as error:
            path, _, expected = str(error).partition(": ")
            raise CatalogError(str(file), f"plan.subtasks[{index}].{path}", expected) from error


def _check_views(folder: Path, task_type: TaskType, personas: Mapping[str, Persona]) -> None:
    fields = task_type.payload_schema["properties"]
    for name, persona in personas.items():
        for index, field in enumerate(persona.view):
            if field not in fields:
                file = folder / "personas" / f"{name}.yaml"
                expected = f"a field of payload_schema ({', '.join(sorted(fields))}), got {field!r}"
                raise CatalogError(str(file), f"view[{index}]", expected)
