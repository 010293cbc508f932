"""How the rows of each of our tables are laid out for COPY."""

from functools import cache
from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, LargeBinary, SmallInteger

from indexer.layout import ColumnLayout, Layout, Spelling
from indexer.tables import TABLES, Unsigned64

#: column type → how its cells are spelt, and in how many bytes
_NUMBERS: Final[dict[type, tuple[Spelling, int]]] = {
    BigInteger: ("int8", 8),
    SmallInteger: ("int2", 2),
    Boolean: ("bool", 1),
    Unsigned64: ("numeric", 18),
}


@cache
def layout(name: str) -> Layout:
    """Of a table; its rows come in the table's own order."""
    return Layout(tuple([_layout(column) for column in TABLES[name].c]))


def _layout(column: Column[Any]) -> ColumnLayout:
    spelling: Spelling = "bytes" if isinstance(column.type, LargeBinary) else "text"
    spelling, size = _NUMBERS.get(type(column.type), (spelling, column.info.get("size")))
    return ColumnLayout(column.name, spelling, size, bool(column.nullable))
