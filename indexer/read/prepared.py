"""A statement compiled once and then run by the driver itself: SQLAlchemy's way to run one costs more than its rows.

Values are bound and cells are read as their types say, so the rows are those that SQLAlchemy would give.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Dialect, Select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

Row = tuple[Any, ...]
_Convert = Callable[[Any], Any]


class Prepared:
    """One statement for one kind of database."""

    def __init__(self, query: Select[Any], compiled: SQLCompiler, dialect: Dialect) -> None:
        self._text, self._dialect = compiled.string, dialect
        self._errors: type[Exception] = dialect.loaded_dbapi.Error
        #: where the driver takes values by place: their names in order
        self._order = compiled.positiontup
        self._constants = {name: value for name, value in compiled.params.items() if value is not None}
        spelt = [(compiled.bind_names[bind], _binding(bind.type, dialect)) for bind in compiled.binds.values()]
        self._spelt = [(name, convert) for name, convert in spelt if convert is not None]
        columns = query.selected_columns
        self.names = tuple(columns.keys())
        self._types = [column.type for column in columns]
        #: cells that the driver gives in another type than ours, by place; known when it first describes its rows
        self._read: list[tuple[int, _Convert]] | None = None

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> Sequence[Row]:
        """All of them, in the connection's transaction."""
        if not connection.in_transaction():
            connection.begin()
        bound = self._bound(values)
        cursor = connection.connection.cursor()
        try:
            cursor.execute(self._text, bound)
            rows: Sequence[Row] = cursor.fetchall()
            if self._read is None:
                self._read = self._readers(cursor.description)
        except self._errors as error:
            # As SQLAlchemy says it: whoever expects that need not know which way a statement went.
            raise DBAPIError.instance(self._text, bound, error, self._errors, dialect=self._dialect) from error
        finally:
            cursor.close()
        if not self._read or not rows:
            return rows
        cells: list[Sequence[Any]] = list(zip(*rows, strict=True))
        for place, convert in self._read:
            cells[place] = [convert(cell) for cell in cells[place]]
        return list(zip(*cells, strict=True))

    def _bound(self, values: Mapping[str, Any]) -> Any:
        given = {**self._constants, **values}
        for name, convert in self._spelt:
            given[name] = convert(given[name])
        return given if self._order is None else [given[name] for name in self._order]

    def _readers(self, description: Any) -> list[tuple[int, _Convert]]:
        found = [
            (place, kind.dialect_impl(self._dialect).result_processor(self._dialect, column[1]))
            for place, (kind, column) in enumerate(zip(self._types, description, strict=True))
        ]
        return [(place, convert) for place, convert in found if convert is not None]


def _binding(kind: Any, dialect: Dialect) -> _Convert | None:
    convert: _Convert | None = kind.dialect_impl(dialect).bind_processor(dialect)
    return convert


@lru_cache(maxsize=512)
def prepared(query: Select[Any], dialect: Dialect) -> Prepared | None:
    """None for a statement whose text depends on its values, as `IN` with a list of any length does."""
    compiled = query.compile(dialect=dialect)
    if not isinstance(compiled, SQLCompiler) or compiled.post_compile_params:
        return None
    return Prepared(query, compiled, dialect)
