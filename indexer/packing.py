"""Rows as PostgreSQL's binary COPY format, by one Struct a row instead of cell by cell.

Knows no tables: a layout is plain, so a process without the database's libraries can pack too.

Source: PostgreSQL documentation, "COPY", section "Binary Format". Pure.
"""

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from operator import itemgetter
from struct import Struct
from typing import Any, Final, NamedTuple

from indexer.facts import Row

START: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END: Final = b"\xff\xff"
#: the size that says so
_NULL: Final = -1
#: of a digit of `numeric`
_BASE: Final = 10_000
#: rows that are spelt at once
_CHUNK_ROWS: Final = 2000


class Layout(NamedTuple):
    """How a table's rows are packed."""

    #: in the order to COPY them in, those of one size first
    columns: tuple[str, ...]
    #: the same order, as places in a row
    order: tuple[int, ...]
    #: Struct code and size of those of one size
    fixed: tuple[tuple[str, int], ...]
    #: how the others are spelt: a name in `_SPELLINGS` or a Struct code
    others: tuple[str, ...]

    @classmethod
    def of_json(cls, said: list[Any]) -> "Layout":
        columns, order, fixed, others = said
        return cls(tuple(columns), tuple(order), tuple([(code, size) for code, size in fixed]), tuple(others))


class Packed(NamedTuple):
    """Rows, packed."""

    columns: tuple[str, ...]
    data: bytes


class _Shape(NamedTuple):
    """Rows whose cells have the same sizes."""

    pack: Callable[..., bytes]
    #: [columns, size, cell, size, cell, …]: of a row only the cells are put in, so one thread packs at a time
    template: list[Any]


def pack(layout: Layout, rows: Sequence[Row]) -> Packed:
    """All of a COPY, with its beginning and end."""
    pack_rows = _packer(layout)
    chunks = [pack_rows(rows[start : start + _CHUNK_ROWS]) for start in range(0, len(rows), _CHUNK_ROWS)]
    return Packed(layout.columns, b"".join([START, *chunks, END]))


@cache
def _packer(layout: Layout) -> Callable[[Sequence[Row]], bytes]:
    if not layout.others:
        return lambda rows: _pack_alike(_shape(layout.fixed), rows)
    pick, known = itemgetter(*layout.order), len(layout.fixed)
    spell = [(place, _spelling(other)) for place, other in enumerate(layout.others, start=known)]

    @lru_cache(maxsize=4096)
    def shape(*sizes: int) -> _Shape:
        return _shape((*layout.fixed, *[(f"{max(size, 0)}s", size) for size in sizes]))

    nothing, blank = [None] * len(spell), [b""] * len(spell)
    without = shape(*[_NULL] * len(spell))

    def pack_rows(rows: Sequence[Row]) -> bytes:
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
            pack_row, cells = shape(*sizes)
            cells[2::2] = values
            out.append(pack_row(*cells))
        return b"".join(out)

    return pack_rows


def _shape(codes: Sequence[tuple[str, int]]) -> _Shape:
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


def _spelling(name: str) -> Callable[[Any], bytes]:
    return _SPELLINGS.get(name) or Struct(f">{name}").pack


@lru_cache(maxsize=1024)
def _text(value: str) -> bytes:
    return value.encode()


#: by number of digits: count, weight of the first, sign, scale, digits
_NUMERICS: Final = [Struct(f">hhhh{count}h").pack for count in range(6)]
_ZERO: Final = bytes(8)


def _numeric(value: int) -> bytes:
    """An unsigned integer of 64 bits as `numeric`."""
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
    first, fourth = divmod(value, _BASE)
    return _NUMERICS[5](5, 4, 0, 0, first, fourth, second, third, last)


_SPELLINGS: Final[dict[str, Callable[[Any], bytes]]] = {"bytes": bytes, "text": _text, "numeric": _numeric}
