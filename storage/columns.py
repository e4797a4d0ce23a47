"""Columns that many tables have, and how constraints are named."""

from typing import Any

from sqlalchemy import Column, DateTime, ForeignKey, Integer, MetaData, Text, func
from sqlalchemy.sql.type_api import TypeEngine

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMES)


def moment(name: str, *, now: bool = False, null: bool = False) -> Column[Any]:
    """A time; with `now` the database fills it in."""
    return Column(name, DateTime(timezone=True), server_default=func.now() if now else None, nullable=null)


def of_task(*, primary: bool = False) -> Column[Any]:
    """The task that a row belongs to."""
    return Column("task_id", Text, ForeignKey("tasks.id"), primary_key=primary, nullable=False)


def of_subtask() -> list[Column[Any]]:
    """A key of the task and one of its subtasks."""
    return [of_task(primary=True), Column("subtask_id", Text, primary_key=True)]


def of_round() -> list[Column[Any]]:
    """A key that begins with the task, the subtask and the round."""
    return [*of_subtask(), Column("round", Integer, primary_key=True, autoincrement=False)]


def col(name: str, kind: type[TypeEngine[Any]] | TypeEngine[Any], *, null: bool = False) -> Column[Any]:
    """A column without a default."""
    return Column(name, kind, nullable=null)


def texts(*names: str) -> list[Column[Any]]:
    """Text columns that are always filled."""
    return [col(name, Text) for name in names]
