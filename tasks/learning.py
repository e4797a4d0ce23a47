"""What a subtask's panel decides by: the calibration in force, and the shadow that is computed beside it."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.calibration import Calibration, CalibrationStatus
from domain.task_type import SubtaskSpec, amount_of
from negotiation.learned import Learned, learned_from
from negotiation.rounds import Terms
from storage.repositories.calibrations import Standing, Unreadable, active_and_shadow
from tasks.context import StageContext
from tasks.contract import changed


@dataclass(frozen=True, slots=True)
class Learning:
    """What was learned for a subtask's panel."""

    terms: Terms
    shadow: Learned | None
    """The shadow calibration, where it was made with this panel."""

    @property
    def shadow_terms(self) -> Terms:
        """The same terms with the shadow in the place of what is in force."""
        return Terms(learned=self.shadow, stake=self.terms.stake)


async def learning(context: StageContext, connection: AsyncConnection, spec: SubtaskSpec) -> Learning:
    """Read at every decision: an activation or an alarm counts from the next one on, in every process."""
    found = await active_and_shadow(connection, context.task.task_type, spec.id)
    panel = {one.persona.id: one.persona.version for one in context.catalog.panelists(context.task.task_type, spec.id)}
    learned = None if found.standing is None else standing_learned(found.standing, panel, spec)
    if found.unreadable is not None:
        learned = nothing_learned(found.unreadable)
    beside = None if found.shadow is None else standing_learned(found.shadow, panel, spec)
    fits = beside is not None and beside.withdrawn is None
    return Learning(Terms(learned=learned, stake=stake_of(context)), beside if fits else None)


def stake_of(context: StageContext) -> float | None:
    """The amount at stake in currency units; None where the task type names no field or the field is empty."""
    return amount_of(context.task.payload.get(context.task_type.stake_field or ""))


def nothing_learned(found: Unreadable) -> Learned:
    """In the place of a calibration that stands and cannot be read: it is in force, and certifies nothing."""
    return Learned(version=found.version, rates={}, mean_rate=0.5, withdrawn=found.problem, readable=False)


def standing_learned(standing: Standing, panel: Mapping[str, int], spec: SubtaskSpec) -> Learned:
    """What strategies use of it; its certificates stand for the panel and the subtask it was made for, unalarmed."""
    calibration = standing.calibration
    if standing.status is CalibrationStatus.ALARMED:
        problem: str | None = f"the audits of calibration {calibration.version} found more errors than it certifies"
    else:
        problem = mismatch(calibration, panel, spec)
    return learned_from(calibration, withdrawn=problem)


def mismatch(calibration: Calibration, panel: Mapping[str, int], spec: SubtaskSpec) -> str | None:
    """How the panel (persona -> version) and the subtask differ from the calibration's; None when they do not."""
    made = f"calibration {calibration.version} was made"
    for persona in sorted({*panel, *calibration.panel}):
        now, then = panel.get(persona), calibration.panel.get(persona)
        if then is None:
            return f"persona {persona} is on the panel; {made} without it"
        if now is None:
            return f"persona {persona} is not on the panel; {made} with it"
        if now != then:
            return f"persona {persona} is version {now}; {made} with version {then}"
    return changed(calibration, spec)
