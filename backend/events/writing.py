"""Rows written at once, for what every request does: the ORM's unit of work costs ten times what such a row does.

What a job's buyer is told of a change does not depend on the way it was written (`backend.events.recording`).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from sqlalchemy import Insert, Table, Update, bindparam, insert, inspect, update
from sqlalchemy.orm import Mapper, make_transient_to_detached
from sqlalchemy.orm.attributes import instance_dict, instance_state, set_committed_value
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
    held: _Held | None = session.info.get(_HELD)
    table = _table(type(rows[0]))
    columns = [column.name for column in table.columns]
    many = [{name: getattr(row, name) for name in columns} for row in rows]
    if held is None:
        prepared.put(session.connection(), _insert(table), many)
    else:
        held.put(type(rows[0]), many)
    for row in rows:
        _keep(session, row)
        recording.note_new(session, row)


def read_now(session: Session, kind: type[Row], rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Rows by all their columns as the database has them now: the session's own, as the ORM would have read them.

    Whatever the session wanted to write of its rows was written before they were read.
    """
    found = []
    for columns in rows:
        row = _held_by(session, kind, tuple(columns[name] for name in _keys(kind)))
        if row is None:
            row = row_of(kind, columns)
            _keep(session, row)
        else:
            _show(row, columns)
        found.append(row)
    return found


def known(session: Session, kind: type[Row], *key: Any) -> Row:
    """The row as the session has it, for whoever read or put it before; else as `get_one` finds it."""
    row = _held_by(session, kind, key)
    return row if row is not None else session.get_one(kind, key)


def _held_by(session: Session, kind: type[Row], key: tuple[Any, ...]) -> Row | None:
    row: Row | None = session.identity_map.get(_mapper(kind).identity_key_from_primary_key(key))
    return row


def _keep(session: Session, row: SQLModel) -> None:
    """From now on the session has it as if it had read it."""
    state = instance_state(row)
    if state.modified or state.committed_state:
        make_transient_to_detached(row)
        session.add(row)
        return
    # The same for one that was made by its columns, of which nothing is to be forgotten.
    kind = type(row)
    state.key = _mapper(kind).identity_key_from_primary_key(tuple(getattr(row, name) for name in _keys(kind)))
    state.session_id = session.hash_key
    session.identity_map.add(state)


def _show(row: SQLModel, values: Mapping[str, Any]) -> None:
    """The row has these values, and so has the database."""
    state = instance_state(row)
    if state.committed_state or state.expired_attributes:
        for name, value in values.items():
            set_committed_value(row, name, value)
    else:
        instance_dict(row).update(values)


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
    kind = type(row)
    key = tuple(getattr(row, name) for name in _keys(kind))
    held: _Held | None = session.info.get(_HELD)
    if held is None:
        named = dict(zip(_key_names(kind), key, strict=True))
        prepared.changed(session.connection(), _update(kind, tuple(sorted(new))), named | new)
    else:
        held.add(kind, key, new)
    _show(row, new)
    if isinstance(row, JobRow) and "state" in new:
        recording.note_state(session, row)


class _Held:
    """New rows and changes that wait to be written, by their row: what was said of it last stays."""

    def __init__(self) -> None:
        self._new: dict[tuple[type[SQLModel], tuple[Any, ...]], dict[str, Any]] = {}
        self._changed: defaultdict[tuple[type[SQLModel], tuple[Any, ...]], dict[str, Any]] = defaultdict(dict)

    def put(self, kind: type[SQLModel], many: Iterable[dict[str, Any]]) -> None:
        for columns in many:
            key = kind, tuple(columns[name] for name in _keys(kind))
            if key in self._new:
                raise ValueError(f"{kind.__name__} {key[1]} is new twice")
            self._new[key] = columns

    def add(self, kind: type[SQLModel], key: tuple[Any, ...], values: dict[str, Any]) -> None:
        (self._new.get((kind, key)) or self._changed[kind, key]).update(values)

    def write(self, session: Session) -> None:
        new: defaultdict[type[SQLModel], list[dict[str, Any]]] = defaultdict(list)
        for (kind, _), columns in self._new.items():
            new[kind].append(columns)
        for kind, many in new.items():
            prepared.put(session.connection(), _insert(_table(kind)), many)
        alike: defaultdict[Update, list[dict[str, Any]]] = defaultdict(list)
        for (kind, key), values in self._changed.items():
            named = dict(zip(_key_names(kind), key, strict=True))
            alike[_update(kind, tuple(sorted(values)))].append(named | values)
        for update_, many in alike.items():
            prepared.each(session.connection(), update_, many)


@contextmanager
def together(session: Session) -> Iterator[None]:
    """What is put or changed inside is written at its end, what is alike by one statement; rows show it at once.

    Inside, the database does not show it yet, and nothing else may change the same rows: it would be overruled.
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
def _mapper(kind: type[SQLModel]) -> Mapper[Any]:
    found: Mapper[Any] = inspect(kind)
    return found


@cache
def _keys(kind: type[SQLModel]) -> tuple[str, ...]:
    return tuple(column.name for column in _table(kind).primary_key)


@cache
def _key_names(kind: type[SQLModel]) -> tuple[str, ...]:
    """Of the parameters that name a row."""
    return tuple(_KEY + name for name in _keys(kind))


@cache
def _update(kind: type[SQLModel], names: tuple[str, ...]) -> Update:
    table = _table(kind)
    is_row = [column == bindparam(_KEY + column.name, type_=column.type) for column in table.primary_key]
    return update(table).where(*is_row).values({name: bindparam(name, type_=table.c[name].type) for name in names})
