"""Rows as the ORM makes them of what it has read, but in no session.

A row's own constructor validates and tracks each value, which costs as much as to store the row.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import inspect
from sqlalchemy.orm import configure_mappers
from sqlalchemy.orm.attributes import instance_dict
from sqlalchemy.orm.instrumentation import ClassManager
from sqlmodel import SQLModel

Row = TypeVar("Row", bound=SQLModel)


def row_of(kind: type[Row], columns: Mapping[str, Any]) -> Row:
    """The row with these columns; what is not among them it does not have."""
    row: Row = _manager(kind).new_instance()
    instance_dict(row).update(columns)
    return row


@cache
def _manager(kind: type[SQLModel]) -> ClassManager[Any]:
    configure_mappers()
    manager: ClassManager[Any] = inspect(kind).class_manager
    return manager
