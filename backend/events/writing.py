"""Rows written at once, for what every request does: the ORM's unit of work costs ten times what such a row does.

What a job's buyer is told of a change does not depend on the way it was written (`backend.events.recording`).
"""

from functools import cache
from typing import Any, Final

from sqlalchemy import Insert, Table, Update, bindparam, insert, update
from sqlalchemy.orm import make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import Session, SQLModel

from backend.events import recording
from backend.jobs.tables import JobRow
from backend.plain_rows import Row, row_of

_KEY: Final = "row_"
"""No column begins with it: the parameters of a statement are its new values and the key of its row."""


def put(session: Session, row: Row) -> Row:
    """A new row whose key is known; from now on the session has it as if it had read it."""
    table = _table(type(row))
    session.connection().execute(_insert(table), {column.name: getattr(row, column.name) for column in table.columns})
    make_transient_to_detached(row)
    session.add(row)
    recording.note_new(session, row)
    return row


def insert_row(session: Session, kind: type[Row], /, **columns: Any) -> Row:
    """A new row by its columns, the others as a row has them that was just made; the session does not keep it."""
    whole = {**_defaults(kind), **columns}
    session.connection().execute(_insert(_table(kind)), whole)
    row = row_of(kind, whole)
    recording.note_new(session, row)
    return row


def change(session: Session, row: SQLModel, **values: Any) -> None:
    """Values of a row that the session has read: those that differ, there and in the database."""
    new = {name: value for name, value in values.items() if getattr(row, name) != value}
    if not new:
        return
    table = _table(type(row))
    key = {_KEY + column.name: getattr(row, column.name) for column in table.primary_key}
    session.connection().execute(_update(table, tuple(sorted(new))), {**new, **key})
    for name, value in new.items():
        set_committed_value(row, name, value)
    if isinstance(row, JobRow) and "state" in new:
        recording.note_state(session, row)


# Built once for each table, and for each set of columns that is changed together.
@cache
def _table(kind: type[SQLModel]) -> Table:
    return SQLModel.metadata.tables[str(kind.__tablename__)]


@cache
def _defaults(kind: type[SQLModel]) -> dict[str, Any]:
    fields = [(column, kind.model_fields[column.name]) for column in _table(kind).columns]
    # A key that is not named is numbered by the database.
    return {c.name: field.default for c, field in fields if not field.is_required() and not c.primary_key}


@cache
def _insert(table: Table) -> Insert:
    return insert(table)


@cache
def _update(table: Table, names: tuple[str, ...]) -> Update:
    is_row = [column == bindparam(_KEY + column.name, type_=column.type) for column in table.primary_key]
    return update(table).where(*is_row).values({name: bindparam(name, type_=table.c[name].type) for name in names})
