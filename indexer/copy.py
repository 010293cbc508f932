"""A table's rows as PostgreSQL's binary COPY format, mostly by one Struct a row instead of cell by cell.

Source: PostgreSQL documentation, "COPY", section "Binary Format". Pure.
"""

from collections.abc import Callable, Sequence
from functools import cache, lru_cache, partial
from operator import itemgetter
from struct import Struct
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, Boolean, Column, LargeBinary, SmallInteger

from indexer.facts import Fact
from indexer.tables import TABLES, Unsigned64

START: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END: Final = b"\xff\xff"
_NULL: Final = b"\xff\xff\xff\xff"

#: column type → Struct code and size of its value
_NUMBERS: Final = {BigInteger: ("q", 8), SmallInteger: ("h", 2), Boolean: ("?", 1)}


class Layout(NamedTuple):
    """How a table's rows are packed: `columns` is the order to COPY them in, those of one size first."""

    columns: list[str]
    pack: Callable[[Sequence[Fact]], bytes]


@cache
def layout(name: str) -> Layout:
    """Of a table; its rows come in the table's own order."""
    columns = list(TABLES[name].c)
    fixed = [place for place, column in enumerate(columns) if _code(column) is not None]
    others = [place for place in range(len(columns)) if place not in fixed]
    codes = [code for place in fixed if (code := _code(columns[place])) is not None]
    struct = Struct(">h" + "".join(f"i{code}" for code, _ in codes))
    # [columns, size, cell, size, cell, …]: of each row only the cells are put in.
    template: list[Any] = [len(columns)]
    for _, size in codes:
        template += [size, None]
    pick, pick_others = _picker(fixed), _picker(others)
    spell = [_spelling(columns[place]) for place in others]
    empty, nulls = (None,) * len(others), _NULL * len(others)

    def pack_fixed(rows: Sequence[Fact]) -> bytes:
        out, cells, pack_row = [], list(template), struct.pack
        for row in rows:
            cells[2::2] = row
            out.append(pack_row(*cells))
        return b"".join(out)

    def pack(rows: Sequence[Fact]) -> bytes:
        out, cells, pack_row = [], list(template), struct.pack
        for row in rows:
            cells[2::2] = pick(row)
            out.append(pack_row(*cells))
            rest = pick_others(row)
            if rest == empty:
                out.append(nulls)
            else:
                out += [_NULL if cell is None else spelt(cell) for cell, spelt in zip(rest, spell, strict=True)]
        return b"".join(out)

    return Layout([columns[place].name for place in (*fixed, *others)], pack if others else pack_fixed)


def _picker(places: list[int]) -> Callable[[Fact], tuple[Any, ...]]:
    """The cells of these places, always as a tuple."""
    if len(places) == 1:
        (place,) = places
        return lambda row: (row[place],)
    return itemgetter(*places) if places else lambda row: ()


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
        code, size = number
        return partial(Struct(f">i{code}").pack, size)
    if isinstance(column.type, Unsigned64):
        return _numeric
    return _sized if isinstance(column.type, LargeBinary) else _text


def _sized(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


@lru_cache(maxsize=1024)
def _text(value: str) -> bytes:
    return _sized(value.encode())


@lru_cache(maxsize=1 << 12)
def _numeric(value: int) -> bytes:
    """An unsigned integer as `numeric`: digits to the base 10,000, the weight of the first, sign, scale."""
    digits = []
    while value:
        value, digit = divmod(value, 10_000)
        digits.append(digit)
    count = len(digits)
    digits.reverse()
    return _numeric_struct(count).pack(8 + 2 * count, count, max(0, count - 1), 0, 0, *digits)


@cache
def _numeric_struct(digits: int) -> Struct:
    return Struct(f">ihhhh{digits}h")
