"""A pilot's facts: what its personas may know beside past cases."""

from datetime import UTC, date, datetime, time
from pathlib import Path

from pydantic import Field, TypeAdapter, ValidationError

from catalog.yaml_files import broken, dotted, read_yaml
from domain.errors import CatalogError
from domain.memory import Memory
from domain.model import Frozen


class Fact(Frozen):
    """One entry of facts.yaml."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    text: str = Field(min_length=1)
    since: datetime | date
    """Since when it is known; without a zone it is UTC, without a time midnight."""


_FACTS = TypeAdapter(tuple[Fact, ...])


def read_facts(file: Path, task_type: str) -> tuple[Memory, ...]:
    """The file's facts as memories; none when there is no such file. Raises CatalogError."""
    if not file.exists():
        return ()
    try:
        facts = _FACTS.validate_python(read_yaml(file))
    except ValidationError as error:
        raise broken(file, error) from error
    seen: set[str] = set()
    for index, fact in enumerate(facts):
        if fact.id in seen:
            raise CatalogError(str(file), dotted([index, "id"]), f"no duplicate, got {fact.id!r} again")
        seen.add(fact.id)
    return tuple(
        # The task type in front, because two pilots may well use the same id.
        Memory(
            id=f"{task_type}.{fact.id}",
            kind="semantic",
            task_type=task_type,
            text=fact.text,
            known_at=_moment(fact.since),
        )
        for fact in facts
    )


def _moment(since: datetime | date) -> datetime:
    moment = since if isinstance(since, datetime) else datetime.combine(since, time.min)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
