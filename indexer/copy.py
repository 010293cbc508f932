"""How the rows of each of our tables are packed for COPY."""

from functools import cache
from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, LargeBinary, SmallInteger

from indexer.packing import Layout
from indexer.tables import TABLES, Unsigned64

#: column type → Struct code and size of its value
_NUMBERS: Final = {BigInteger: ("q", 8), SmallInteger: ("h", 2), Boolean: ("?", 1)}


@cache
def layout(name: str) -> Layout:
    """Of a table; its rows come in the table's own order."""
    columns = list(TABLES[name].c)
    fixed = [(place, code) for place, column in enumerate(columns) if (code := _code(column)) is not None]
    others = [(place, _spelling(column)) for place, column in enumerate(columns) if _code(column) is None]
    order = tuple([place for place, _ in (*fixed, *others)])
    return Layout(
        columns=tuple([columns[place].name for place in order]),
        order=order,
        fixed=tuple([code for _, code in fixed]),
        others=tuple([spelling for _, spelling in others]),
    )


def _code(column: Column[Any]) -> tuple[str, int] | None:
    """Struct code and size, where every value of the column has one size."""
    if column.nullable:
        return None
    if isinstance(column.type, LargeBinary):
        size = column.info.get("size")
        return None if size is None else (f"{size}s", size)
    return _NUMBERS.get(type(column.type))


def _spelling(column: Column[Any]) -> str:
    if type(column.type) in _NUMBERS:
        return _NUMBERS[type(column.type)][0]
    if isinstance(column.type, Unsigned64):
        return "numeric"
    return "bytes" if isinstance(column.type, LargeBinary) else "text"
