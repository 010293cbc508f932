"""Events of one kind as columns: the fields that `protocol.events.read_cells` reads one by one, of many at once. Pure.

A column is an array: of the bytes of a word or an address, of integers of 64 bits, of truths, or of larger integers as
objects. Values on a pipe are plain, so there it is its element's code and its bytes, or the list of such objects.
"""

from functools import cache
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from protocol.events import ENUMS, EVENTS, padding, read_cells

Column: TypeAlias = NDArray[Any]
PlainColumn: TypeAlias = tuple[str, bytes] | list[int]

_WORD: Final = 32
#: big-endian numbers of 64 bits, four to a word
_QUARTERS: Final = np.dtype(">u8")


def read_columns(kind: int, logs: list[tuple[bytes, bytes]]) -> list[Column]:
    """The fields in order of logs of the kind at this place in `EVENTS`, each its topics, joined, and its data.

    Raises `BadEvent`.
    """
    raw = b"".join([part for topics, data in logs for part in (topics[_WORD:], data)])
    words = np.frombuffer(raw, dtype=_QUARTERS).reshape(len(logs), -1, _WORD // 8)
    masks, limits = _refused(kind)
    if np.any(words & masks) or any(np.any(words[:, place, 3] >= limit) for place, limit in limits):
        for topics, data in logs:
            read_cells(topics, data)
        raise AssertionError("what is no event together is one by one")
    return [_column(solidity, words[:, place]) for place, solidity in enumerate(EVENTS[kind].TYPES.values())]


@cache
def _refused(kind: int) -> tuple[NDArray[Any], list[tuple[int, int]]]:
    """The bits that must be zero; the places of enums with their number of members."""
    types = list(EVENTS[kind].TYPES.values())
    masks = np.frombuffer(b"".join(map(padding, types)), dtype=_QUARTERS).reshape(len(types), _WORD // 8)
    return masks, [(place, len(ENUMS[solidity])) for place, solidity in enumerate(types) if solidity in ENUMS]


def _column(solidity: str, words: NDArray[Any]) -> Column:
    """Of words that hold a type, four quarters each."""
    if solidity == "bytes32":
        return np.ascontiguousarray(words).view("V32")[:, 0]
    if solidity == "address":
        return np.ascontiguousarray(np.ascontiguousarray(words).view("u1")[:, 12:]).view("V20")[:, 0]
    if solidity == "bool":
        return words[:, 3].astype(np.bool_)
    if solidity == "uint256":
        spelt = np.ascontiguousarray(words).view("V32")[:, 0].tolist()
        return np.array([int.from_bytes(word, "big") for word in spelt], dtype=object)
    return words[:, 3].astype(np.uint64)


def spell_column(column: Column) -> PlainColumn:
    """Read by `list_column`."""
    if column.dtype == object:
        listed: list[int] = column.tolist()
        return listed
    return column.dtype.str, column.tobytes()


def list_column(spelt: PlainColumn) -> list[Any]:
    """Its values, as `read_cells` has them."""
    if isinstance(spelt, list):
        return spelt
    code, content = spelt
    listed: list[Any] = np.frombuffer(content, dtype=code).tolist()
    return listed
