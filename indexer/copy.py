"""A table's rows as PostgreSQL's binary COPY format, by one Struct a row instead of cell by cell.

Source: PostgreSQL documentation, "COPY", section "Binary Format". Pure.
"""

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from operator import itemgetter
from struct import Struct
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, Boolean, Column, LargeBinary, SmallInteger

from indexer.facts import Row
from indexer.tables import TABLES, Unsigned64

START: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END: Final = b"\xff\xff"
#: the size that says so
_NULL: Final = -1

#: column type → Struct code and size of its value
_NUMBERS: Final = {BigInteger: ("q", 8), SmallInteger: ("h", 2), Boolean: ("?", 1)}
#: digit of a `numeric`
_BASE: Final = 10_000


class Layout(NamedTuple):
    """How a table's rows are packed: `columns` is the order to COPY them in, those of one size first."""

    columns: list[str]
    pack: Callable[[Sequence[Row]], bytes]


class _Shape(NamedTuple):
    """Rows whose cells have the same sizes."""

    pack: Callable[..., bytes]
    #: [columns, size, cell, size, cell, …]: of a row only the cells are put in
    template: list[Any]


@cache
def layout(name: str) -> Layout:
    """Of a table; its rows come in the table's own order."""
    columns = list(TABLES[name].c)
    fixed = [place for place, column in enumerate(columns) if _code(column) is not None]
    others = [place for place in range(len(columns)) if place not in fixed]
    codes = [code for place in fixed if (code := _code(columns[place])) is not None]
    order = [*fixed, *others]
    names = [columns[place].name for place in order]
    if not others:
        return Layout(names, lambda rows: _pack_alike(_shape(codes), rows))
    pick, known = itemgetter(*order), len(fixed)
    spell = [(place, _spelling(columns[other])) for place, other in enumerate(others, start=known)]

    @lru_cache(maxsize=4096)
    def shape(*sizes: int) -> _Shape:
        return _shape([*codes, *[(f"{max(size, 0)}s", size) for size in sizes]])

    nothing, blank = [None] * len(others), [b""] * len(others)
    without = shape(*[_NULL] * len(others))

    def pack(rows: Sequence[Row]) -> bytes:
        out = []
        for row in rows:
            values = [*pick(row)]
            if values[known:] == nothing:
                values[known:] = blank
                pack_row, cells = without
                cells[2::2] = values
                out.append(pack_row(*cells))
                continue
            sizes = []
            for place, spelt in spell:
                value = values[place]
                if value is None:
                    values[place] = b""
                    sizes.append(_NULL)
                else:
                    values[place] = value = spelt(value)
                    sizes.append(len(value))
            pack_row, template = shape(*sizes)
            cells = template.copy()
            cells[2::2] = values
            out.append(pack_row(*cells))
        return b"".join(out)

    return Layout(names, pack)


def _shape(codes: list[tuple[str, int]]) -> _Shape:
    template: list[Any] = [len(codes)]
    for _, size in codes:
        template += [size, None]
    return _Shape(Struct(">h" + "".join([f"i{code}" for code, _ in codes])).pack, template)


def _pack_alike(shape: _Shape, rows: Sequence[Row]) -> bytes:
    out, (pack_row, cells) = [], shape
    for row in rows:
        cells[2::2] = row
        out.append(pack_row(*cells))
    return b"".join(out)


def _code(column: Column[Any]) -> tuple[str, int] | None:
    """Struct code and size, where every value of the column has one size."""
    if column.nullable:
        return None
    if isinstance(column.type, LargeBinary):
        size = column.info.get("size")
        return None if size is None else (f"{size}s", size)
    return _NUMBERS.get(type(column.type))


def _spelling(column: Column[Any]) -> Callable[[Any], bytes]:
    number = _NUMBERS.get(type(column.type))
    if number is not None:
        return Struct(f">{number[0]}").pack
    if isinstance(column.type, Unsigned64):
        return _numeric
    return bytes if isinstance(column.type, LargeBinary) else _text


@lru_cache(maxsize=1024)
def _text(value: str) -> bytes:
    return value.encode()


#: digits → count, weight of the first, sign, scale, digits
_NUMERICS: Final = [Struct(f">hhhh{count}h").pack for count in range(6)]
_ZERO: Final = bytes(8)


def _numeric(value: int) -> bytes:
    """An unsigned integer as `numeric`."""
    if value < _BASE:
        return _NUMERICS[1](1, 0, 0, 0, value) if value else _ZERO
    value, last = divmod(value, _BASE)
    if value < _BASE:
        return _NUMERICS[2](2, 1, 0, 0, value, last)
    value, third = divmod(value, _BASE)
    if value < _BASE:
        return _NUMERICS[3](3, 2, 0, 0, value, third, last)
    value, second = divmod(value, _BASE)
    if value < _BASE:
        return _NUMERICS[4](4, 3, 0, 0, value, second, third, last)
    first, second_of_five = divmod(value, _BASE)
    return _NUMERICS[5](5, 4, 0, 0, first, second_of_five, second, third, last)
