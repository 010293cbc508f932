"""A statement compiled once and then run by the driver itself: SQLAlchemy's way to run one costs more than its rows.

Values are bound and cells are read as their types say, and what the driver raises is said as SQLAlchemy says it, so
that whoever asks need not know which way a statement went. It is for statements that are built once and run often: each
that is given here is kept.
"""

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Dialect
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import Executable
from sqlalchemy.sql.compiler import SQLCompiler

Row = tuple[Any, ...]
_Values = Mapping[str, Any]
_Convert = Callable[[Any], Any]

_KEPT: Final = 512
_LONGEST_FILLED: Final = 1024
"""A longer list is as long as it is, and its text is not kept: a database takes only so many values."""


def rows(connection: Connection, statement: Executable, values: _Values) -> Sequence[Row]:
    """All rows of a query, or those that a change returns, in the connection's transaction."""
    return prepare(statement, connection.dialect).rows(connection, values)


def named_rows(connection: Connection, statement: Executable, values: _Values) -> list[Any]:
    """The same as named tuples; two columns of one name have it from their place."""
    return prepare(statement, connection.dialect).named_rows(connection, values)


def value(connection: Connection, statement: Executable, values: _Values) -> Any:
    """The first cell of the first row, None if there is none."""
    found = rows(connection, statement, values)
    return found[0][0] if found else None


def changed(connection: Connection, statement: Executable, values: _Values) -> int:
    """Runs a change; how many rows it was."""
    return prepare(statement, connection.dialect).changed(connection, values)


def each(connection: Connection, statement: Executable, many: Sequence[_Values]) -> None:
    """Runs a change for each of these values."""
    if many:
        prepare(statement, connection.dialect).each(connection, many)


def put(connection: Connection, insert: Executable, many: Sequence[_Values]) -> None:
    """Inserts rows that have the same columns."""
    if many:
        prepare(insert, connection.dialect, tuple(sorted(many[0]))).each(connection, many)


@lru_cache(maxsize=_KEPT)
def prepare(statement: Executable, dialect: Dialect, columns: tuple[str, ...] | None = None) -> "Prepared":
    """`columns` are those that an insert is given."""
    compiled = statement.compile(dialect=dialect, column_keys=columns)  # type: ignore[attr-defined]
    assert isinstance(compiled, SQLCompiler)  # noqa: S101 - there is no other kind for what can be run
    return Prepared(statement, compiled, dialect)


class Prepared:
    """One statement for one kind of database."""

    def __init__(self, statement: Any, compiled: SQLCompiler, dialect: Dialect) -> None:
        self._compiled, self._dialect = compiled, dialect
        self._errors: type[Exception] = dialect.loaded_dbapi.Error
        self._lists = sorted(compiled.bind_names[bind] for bind in compiled.post_compile_params)
        self._texts: dict[tuple[int, ...], _Text] = {}
        self._plain = None if self._lists else self._text({})
        if compiled.insert_prefetch or compiled.update_prefetch:
            raise LookupError(f"whoever runs it has to name columns that Python has defaults for: {compiled.string}")
        constants = [compiled.bind_names[bind] for bind in compiled.binds.values() if not bind.required]
        self._constants = {name: compiled.params[name] for name in constants}
        spelt = [(compiled.bind_names[bind], _binding(bind.type, dialect)) for bind in compiled.binds.values()]
        self._spelt = [(name, convert) for name, convert in spelt if convert is not None]
        columns = statement.exported_columns
        self.names = tuple(columns.keys())
        self._make = _maker(self.names)
        self._types = [column.type for column in columns]
        #: cells that the driver gives in another type than ours, by place; known when it first describes its rows
        self._read: list[tuple[int, _Convert]] | None = None

    def rows(self, connection: Connection, values: _Values) -> Sequence[Row]:
        """All of them, in the connection's transaction."""
        text, bound = self._bound(values)
        with self._cursor(connection, text, bound) as cursor:
            cursor.execute(text, bound)
            found: Sequence[Row] = cursor.fetchall()
            if self._read is None:
                self._read = self._readers(cursor.description)
        if not self._read or not found:
            return found
        cells: list[Sequence[Any]] = list(zip(*found, strict=True))
        for place, convert in self._read:
            cells[place] = [convert(cell) for cell in cells[place]]
        return list(zip(*cells, strict=True))

    def named_rows(self, connection: Connection, values: _Values) -> list[Any]:
        """The same as named tuples."""
        return [self._make(row) for row in self.rows(connection, values)]

    def changed(self, connection: Connection, values: _Values) -> int:
        """How many rows it was."""
        text, bound = self._bound(values)
        with self._cursor(connection, text, bound) as cursor:
            cursor.execute(text, bound)
            count: int = cursor.rowcount
            return count

    def each(self, connection: Connection, many: Sequence[_Values]) -> None:
        """One run for each; those have no lists."""
        text, bound = self._bound(many[0])[0], [self._bound(values)[1] for values in many]
        with self._cursor(connection, text, bound) as cursor:
            if len(bound) == 1:
                cursor.execute(text, bound[0])
            else:
                cursor.executemany(text, bound)

    @contextmanager
    def _cursor(self, connection: Connection, text: str, bound: Any) -> Iterator[Any]:
        if not connection.in_transaction():
            connection.begin()
        raw = connection.connection
        cursor = raw.cursor()
        try:
            yield cursor
        except self._errors as error:
            is_gone = self._dialect.is_disconnect(error, raw.dbapi_connection, cursor)  # type: ignore[arg-type]
            if is_gone:
                connection.invalidate(error)
            raise DBAPIError.instance(
                text, bound, error, self._errors, connection_invalidated=is_gone, dialect=self._dialect
            ) from error
        finally:
            cursor.close()

    def _bound(self, values: _Values) -> tuple[str, Any]:
        """The text, and the values as the driver takes them."""
        given = {**self._constants, **values}
        for name, convert in self._spelt:
            given[name] = [convert(one) for one in given[name]] if name in self._lists else convert(given[name])
        text = self._plain
        if text is None:
            whole = {name: _filled(given[name]) for name in self._lists}
            text = self._text(whole)
            for name, places in text.places.items():
                given.update(zip(places, whole[name], strict=True))
        return text.text, given if text.order is None else [given[name] for name in text.order]

    def _text(self, lists: Mapping[str, Sequence[Any]]) -> "_Text":
        lengths = tuple(len(values) for values in lists.values())
        if max(lengths, default=0) > _LONGEST_FILLED:
            return _Text(self._compiled, lists)
        if lengths not in self._texts:
            self._texts[lengths] = _Text(self._compiled, lists)
        return self._texts[lengths]

    def _readers(self, description: Any) -> list[tuple[int, _Convert]]:
        found = [
            (place, kind.dialect_impl(self._dialect).result_processor(self._dialect, column[1]))
            for place, (kind, column) in enumerate(zip(self._types, description, strict=True))
        ]
        return [(place, convert) for place, convert in found if convert is not None]


class _Text:
    """A statement's text for lists of these lengths."""

    def __init__(self, compiled: SQLCompiler, lists: Mapping[str, Sequence[Any]]) -> None:
        self.order: Sequence[str] | None
        if not lists:
            self.text, self.order = compiled.string, compiled.positiontup
            #: the names of a list's values
            self.places: dict[str, list[str]] = {}
            return
        # Whatever has to be given to have its names; a value is bound at each run.
        state = compiled.construct_expanded_state({**compiled.params, **lists})
        self.text, self.order = state.statement, state.positiontup
        self.places = {name: list(state.parameter_expansion[name]) for name in lists}


def _filled(values: Sequence[Any]) -> list[Any]:
    """As long as the next power of two, by naming its last one again: so there are few texts, whatever is asked."""
    values = list(values)
    if len(values) > _LONGEST_FILLED:
        return values
    length = 1 << max(len(values) - 1, 0).bit_length() if values else 0
    return values + values[-1:] * (length - len(values))


def _maker(names: Sequence[str]) -> Callable[[Row], Any]:
    # Its fields are known only here.
    named: Any = type("Named", (namedtuple("Named", names, rename=True),), {"__slots__": ()})
    make: Callable[[Row], Any] = named._make
    return make


def _binding(kind: Any, dialect: Dialect) -> _Convert | None:
    convert: _Convert | None = kind.dialect_impl(dialect).bind_processor(dialect)
    return convert
