"""What every topic of the read door stands on: a connection from somewhere, pages by place, counts that stay cheap.

Statements are built once per shape, with their values bound later: building one costs more than a page of rows.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache, lru_cache
from typing import Any, Final

from sqlalchemy import Integer, Select, bindparam, func, select, tuple_
from sqlalchemy.engine import Connection

from indexer.errors import MirrorMissing
from indexer.prepared import Row, prepare
from indexer.reading import Cells
from indexer.rows import Total
from indexer.tables import TABLES

#: rows that are counted one by one; beyond it a total is an estimate
COUNTED: Final = 10_000
_BLOCKS: Final = TABLES["blocks"]
_CHAINS: Final = TABLES["chains"]
_CURSOR: Final = TABLES["cursor"]

Names = tuple[str, ...]
Bound = Mapping[str, Any]
"""Values of a statement's parameters."""


class Connected(ABC):
    """A mirror that opens a connection for each call, or a snapshot that keeps one."""

    @abstractmethod
    def _read(self) -> AbstractContextManager[Connection]: ...

    def _rows(self, query: Select[Any], values: Bound | None = None) -> tuple[Names, Sequence[Row]]:
        """`values` come with a statement that is built once; one that has its values inside comes only once."""
        with self._read() as connection:
            if values is not None:
                statement = prepare(query, connection.dialect)
                return statement.names, statement.rows(connection, values)
            result = connection.execute(query, values)
            return tuple(result.keys()), [tuple(row) for row in result.all()]

    def _all(self, query: Select[Any], values: Bound | None = None) -> list[Cells]:
        return _named(*self._rows(query, values))

    def _first(self, query: Select[Any], values: Bound | None = None) -> Cells | None:
        rows = self._all(query.limit(1), values)
        return rows[0] if rows else None

    def _page(
        self,
        query: Select[Any],
        order: tuple[Any, ...],
        limit: int,
        before: Any,
        after: Any = None,
        values: Bound | None = None,
    ) -> list[Cells]:
        return _named(*self._page_rows(query, order, limit, before, after, values))

    def _page_rows(
        self,
        query: Select[Any],
        order: tuple[Any, ...],
        limit: int,
        before: Any,
        after: Any = None,
        values: Bound | None = None,
    ) -> tuple[Names, Sequence[Row]]:
        """Newest first, whichever way it was walked: the `limit` rows next below `before`, or next above `after`.

        `values`, be they none, where the query is built once.
        """
        given = before if after is None else after
        place = () if given is None else given if isinstance(given, tuple) else (given,)
        statement = _windowed(query, order, len(place), after is not None)
        bound = {"limit": limit, **(values or {}), **{f"place_{i}": part for i, part in enumerate(place)}}
        names, rows = self._rows(statement.params(bound)) if values is None else self._rows(statement, bound)
        return names, rows if after is None else rows[::-1]

    def _count(self, query: Select[Any], number: Any, values: Bound) -> Total:
        """Exact up to `COUNTED` rows; beyond it, as if the older rows lay as densely as the newest ones."""
        newest = query.with_only_columns(number.label("number")).order_by(number.desc()).limit(COUNTED + 1).subquery()
        with self._read() as connection:
            counted = select(func.count(), func.min(newest.c.number))
            count, oldest = connection.execute(counted, values).one()
            if count <= COUNTED:
                return Total(count=count, estimate=False)
            first, last = connection.execute(
                select(func.min(_BLOCKS.c.number), func.max(_BLOCKS.c.number)).where(_BLOCKS.c.canonical)
            ).one()
        return Total(count=max(count, count * (last - first + 1) // (last - oldest + 1)), estimate=True)

    def _progress(self) -> Cells:
        """The cursor with its block and its chain; raises `MirrorMissing` before the mirror was initialised."""
        with self._read() as connection:
            rows = self._all(_progress_query(), {})
            if not rows:
                raise MirrorMissing(str(connection.engine.url))
            return rows[0]


def _named(names: Names, rows: Sequence[Row]) -> list[Cells]:
    """Plain dictionaries: a row's cells are looked up by name many times."""
    return [dict(zip(names, row, strict=True)) for row in rows]


@lru_cache(maxsize=512)
def _windowed(query: Select[Any], order: tuple[Any, ...], parts: int, is_after: bool) -> Select[Any]:
    """Rows below a place, newest first, or above one, oldest first: a page costs the same wherever it is."""
    columns = order[:parts]
    bounds = [bindparam(f"place_{i}", type_=column.type) for i, column in enumerate(columns)]
    if parts:
        place, bound = (tuple_(*columns), tuple_(*bounds)) if parts > 1 else (columns[0], bounds[0])
        query = query.where(place > bound if is_after else place < bound)
    query = query.order_by(*[column if is_after else column.desc() for column in order])
    return query.limit(bindparam("limit", type_=Integer()))


@cache
def _progress_query() -> Select[Any]:
    at_cursor = _CURSOR.join(_BLOCKS, _BLOCKS.c.hash == _CURSOR.c.hash, isouter=True).join(
        _CHAINS, _CHAINS.c.chain_id.is_not(None)
    )
    return select(_CURSOR, _BLOCKS.c.time, _BLOCKS.c.head_slot, _BLOCKS.c.event_count, _CHAINS).select_from(at_cursor)
