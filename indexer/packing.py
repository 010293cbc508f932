"""Rows as PostgreSQL's binary COPY format, column by column: what rows of one shape share is written once.

Knows no tables, so a process without the database's libraries can pack too.

Source: PostgreSQL documentation, "COPY", section "Binary Format"; `numeric_recv` in its source. Pure.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from indexer.facts import Row
from indexer.layout import ColumnLayout, Layout, Packed

START: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END: Final = b"\xff\xff"
#: the size that says so
_NULL: Final = -1
#: of a digit of `numeric`, and how many an integer of 64 bits can have; the database drops leading zeros
_BASE: Final = 10_000
_DIGITS: Final = 5
_NUMERIC_SIZE: Final = 2 * (4 + _DIGITS)
_TYPES: Final[dict[str, np.dtype[Any]]] = {"int8": np.dtype(">i8"), "int2": np.dtype(">i2"), "bool": np.dtype("?")}
#: of a row's cells, in bytes
_Sizes: TypeAlias = tuple[int, ...]
_Array: TypeAlias = NDArray[Any]
#: of a column: values, or an array of them where there is neither NULL nor `numeric`
Cells: TypeAlias = Sequence[Any] | _Array


class _Column(NamedTuple):
    """A column's cells."""

    #: in bytes; a list where they differ
    sizes: int | list[int]
    #: those of one size as an array, with anything in the place of a NULL; others as they are
    values: _Array | list[bytes]


def pack(layout: Layout, rows: Sequence[Row]) -> Packed:
    """All of a COPY, with its beginning and end. Raises `ValueError` if a cell has not its column's size."""
    return pack_batches(layout, [list(zip(*rows, strict=True))] if rows else [])


def pack_batches(layout: Layout, batches: Sequence[Sequence[Cells]]) -> Packed:
    """The same of rows that come column by column, in batches none of which is empty."""
    parts = [START]
    for batch in batches:
        columns = [_column(column, cells) for column, cells in zip(layout.columns, batch, strict=True)]
        parts += [_pack_alike(layout, columns, sizes, places) for sizes, places in _alike(columns)]
    return Packed(tuple([column.name for column in layout.columns]), b"".join([*parts, END]))


def _column(column: ColumnLayout, cells: Cells) -> _Column:
    if isinstance(cells, np.ndarray):
        return _Column(column.size or cells.itemsize, cells)
    if column.size is None:
        return _varying([_encode(cell) for cell in cells] if column.spelling == "text" else cells)
    if not column.nullable or None not in cells:
        return _Column(column.size, _array(column.spelling, column.size, cells))
    sizes = _one([_NULL if cell is None else column.size for cell in cells])
    blank = bytes(column.size) if column.spelling == "bytes" else 0
    return _Column(sizes, _array(column.spelling, column.size, [blank if cell is None else cell for cell in cells]))


def _varying(cells: Sequence[bytes | None]) -> _Column:
    if None in cells:
        sizes = _one([_NULL if cell is None else len(cell) for cell in cells])
        return _Column(sizes, [cell or b"" for cell in cells])
    spelt: list[Any] = list(cells)
    size = _one(list(map(len, spelt)))
    return _Column(size, _joined(spelt, size) if isinstance(size, int) and size else spelt)


def _one(sizes: list[int]) -> int | list[int]:
    return sizes[0] if sizes.count(sizes[0]) == len(sizes) else sizes


def _array(spelling: str, size: int, cells: Sequence[Any]) -> _Array:
    if spelling == "bytes":
        return _joined(cells, size)
    if spelling == "numeric":
        return _numerics(np.array(cells, dtype=np.uint64))
    return np.array(cells, dtype=_TYPES[spelling])


def _joined(cells: Sequence[bytes], size: int) -> _Array:
    joined = b"".join(cells)
    if len(joined) != len(cells) * size:
        raise ValueError(f"a cell has not {size} bytes")
    return np.frombuffer(joined, dtype=f"V{size}")


def _numerics(values: NDArray[np.uint64]) -> _Array:
    """As `numeric`: how many digits, the weight of the first, sign, scale; then the digits."""
    spelt = np.zeros((len(values), _NUMERIC_SIZE // 2), dtype=">i2")
    spelt[:, 0], spelt[:, 1] = _DIGITS, _DIGITS - 1
    base = np.uint64(_BASE)
    for place in range(3 + _DIGITS, 3, -1):
        if not values.any():
            # Small ones, as most are: their other digits are the zeros that are there.
            break
        values, spelt[:, place] = np.divmod(values, base)
    return spelt.view(f"V{_NUMERIC_SIZE}")[:, 0]


@lru_cache(maxsize=1024)
def _encode(value: str | None) -> bytes | None:
    return None if value is None else value.encode()


def _alike(columns: list[_Column]) -> Iterator[tuple[_Sizes, list[int] | None]]:
    """The sizes of the cells of each shape, and where its rows are; None = they all have it."""
    varying = [column.sizes for column in columns if not isinstance(column.sizes, int)]
    if not varying:
        yield tuple([column.sizes for column in columns if isinstance(column.sizes, int)]), None
        return
    shapes: dict[_Sizes, list[int]] = {}
    for place, key in enumerate(zip(*varying, strict=True)):
        shapes.setdefault(key, []).append(place)
    for key, places in shapes.items():
        said = iter(key)
        yield tuple([column.sizes if isinstance(column.sizes, int) else next(said) for column in columns]), places


def _pack_alike(layout: Layout, columns: list[_Column], sizes: _Sizes, places: list[int] | None) -> bytes:
    """The rows at these places, whose cells have these sizes."""
    template = _template(layout, sizes)
    count = len(columns[0].values) if places is None else len(places)
    rows = np.repeat(template, count)
    # Once, not once a column.
    chosen_rows = slice(None) if places is None else np.array(places)
    for number, column in enumerate(columns):
        name = f"cell{number}"
        if name not in (template.dtype.names or ()):
            continue
        if isinstance(column.values, list):
            chosen = column.values if places is None else [column.values[place] for place in places]
            rows[name] = _joined(chosen, template.dtype[name].itemsize)
        else:
            rows[name] = column.values[chosen_rows]
    return rows.tobytes()


@lru_cache(maxsize=4096)
def _template(layout: Layout, sizes: _Sizes) -> _Array:
    """One row without its cells: how many there are and the size of each. NULL and nothing have no cell."""
    fields: list[tuple[str, Any]] = [("count", ">i2")]
    for number, (column, size) in enumerate(zip(layout.columns, sizes, strict=True)):
        fields.append((f"size{number}", ">i4"))
        if size > 0:
            fields.append((f"cell{number}", _TYPES.get(column.spelling, f"V{size}")))
    row = np.zeros(1, dtype=fields)
    row["count"] = len(sizes)
    for number, size in enumerate(sizes):
        row[f"size{number}"] = size
    return row
