"""Rows written at once, for what every request does: the ORM's unit of work costs ten times what such a row does.

What a job's buyer is told of a change does not depend on the way it was written (`backend.events.recording`).
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from sqlalchemy import Insert, Table, Update, bindparam, insert, update
from sqlalchemy.orm import make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import Session, SQLModel

from backend.events import recording
from backend.jobs.tables import JobRow
from backend.plain_rows import Row, row_of
from indexer import prepared

_HELD: Final = "gridlease.held"
_KEY: Final = "row_"
"""No column begins with it: the parameters of a statement are its new values and the key of its row."""


def put_all(session: Session, rows: Sequence[Row]) -> None:
    """New rows of one table whose keys are known; from now on the session has them as if it had read them."""
    if not rows:
        return
    table = _table(type(rows[0]))
    columns = [column.name for column in table.columns]
    prepared.put(session.connection(), _insert(table), [{name: getattr(row, name) for name in columns} for row in rows])
    for row in rows:
        make_transient_to_detached(row)
        session.add(row)
        recording.note_new(session, row)


def new_row(kind: type[Row], /, **columns: Any) -> Row:
    """A row by its columns, the others as a row has them that was just made; it is stored by `put_all`."""
    return row_of(kind, {**_defaults(kind), **columns})


def insert_row(session: Session, kind: type[Row], /, **columns: Any) -> Row:
    """The same, stored at once; the session does not keep it."""
    whole = {**_defaults(kind), **columns}
    prepared.put(session.connection(), _insert(_table(kind)), [whole])
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
    update_, values = _update(table, tuple(sorted(new))), {**new, **key}
    held: _Held | None = session.info.get(_HELD)
    if held is None:
        prepared.changed(session.connection(), update_, values)
    else:
        held.add(session, update_, (table, *key.values()), values)
    for name, value in new.items():
        set_committed_value(row, name, value)
    if isinstance(row, JobRow) and "state" in new:
        recording.note_state(session, row)


class _Held:
    """Changes that wait to be written, by their statement."""

    def __init__(self) -> None:
        self._rows: set[tuple[Any, ...]] = set()
        self._values: defaultdict[Update, list[dict[str, Any]]] = defaultdict(list)

    def add(self, session: Session, update_: Update, row: tuple[Any, ...], values: dict[str, Any]) -> None:
        """`row` is the table with the row's key."""
        if row in self._rows:
            # What was said of it first stays first.
            self.write(session)
        self._rows.add(row)
        self._values[update_].append(values)

    def write(self, session: Session) -> None:
        for update_, values in self._values.items():
            prepared.each(session.connection(), update_, values)
        self._rows.clear()
        self._values.clear()


@contextmanager
def together(session: Session) -> Iterator[None]:
    """Changes inside are written at its end, those that are alike by one statement; rows show them at once.

    Inside, the database does not show them yet, and nothing else may change the same rows: it would be overruled.
    """
    held = session.info[_HELD] = _Held()
    try:
        yield
    finally:
        del session.info[_HELD]
    held.write(session)


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
