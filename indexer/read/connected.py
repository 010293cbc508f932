"""What every topic of the read door stands on: a connection from somewhere, pages by place, counts that stay cheap."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from sqlalchemy import Select, func, select
from sqlalchemy.engine import Connection, RowMapping

from indexer.commit import TABLES
from indexer.reading import page
from indexer.rows import Total

#: rows that are counted one by one; beyond it a total is an estimate
COUNTED: Final = 10_000
_BLOCKS: Final = TABLES["blocks"]


class Connected(ABC):
    """A mirror that opens a connection for each call, or a snapshot that keeps one."""

    @abstractmethod
    def _read(self) -> AbstractContextManager[Connection]: ...

    def _all(self, query: Select[Any]) -> Sequence[RowMapping]:
        with self._read() as connection:
            return connection.execute(query).mappings().all()

    def _first(self, query: Select[Any]) -> RowMapping | None:
        with self._read() as connection:
            return connection.execute(query.limit(1)).mappings().first()

    def _page(
        self, query: Select[Any], order: tuple[Any, ...], limit: int, before: Any, after: Any = None
    ) -> Sequence[RowMapping]:
        """Newest first, whichever way it was walked: the `limit` rows next below `before`, or next above `after`."""
        rows = self._all(page(query, order, limit, before, after))
        return rows if after is None else rows[::-1]

    def _count(self, query: Select[Any], number: Any) -> Total:
        """Exact up to `COUNTED` rows; beyond it, as if the older rows lay as densely as the newest ones."""
        newest = query.with_only_columns(number.label("number")).order_by(number.desc()).limit(COUNTED + 1).subquery()
        with self._read() as connection:
            count, oldest = connection.execute(select(func.count(), func.min(newest.c.number))).one()
            if count <= COUNTED:
                return Total(count=count, estimate=False)
            first, last = connection.execute(
                select(func.min(_BLOCKS.c.number), func.max(_BLOCKS.c.number)).where(_BLOCKS.c.canonical)
            ).one()
        return Total(count=max(count, count * (last - first + 1) // (last - oldest + 1)), estimate=True)
