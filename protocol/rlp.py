"""Recursive length prefix in its one canonical spelling: what has two spellings is refused (SPEC "Proofs").

Pure and without dependencies, because proofs are checked on other people's machines.
"""

from typing import Final, TypeAlias

from protocol.errors import BadProof

Item: TypeAlias = "bytes | list[Item]"

# A block's nodes nest three deep; a forged proof must not nest until the interpreter's stack ends.
_MAX_DEPTH: Final = 16


def encode(item: Item) -> bytes:
    """The canonical encoding of bytes or of a list."""
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < 0x80:
            return item
        return _prefix(0x80, len(item)) + item
    payload = b"".join([encode(inner) for inner in item])
    return _prefix(0xC0, len(payload)) + payload


def encode_list(encoded: list[bytes]) -> bytes:
    """A list of items that are encoded already."""
    payload = b"".join(encoded)
    return _prefix(0xC0, len(payload)) + payload


def integer(value: int) -> bytes:
    """An unsigned integer as RLP's bytes: big-endian without leading zeros, 0 is empty."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def _prefix(offset: int, size: int) -> bytes:
    if size < 56:
        return bytes([offset + size])
    length = integer(size)
    return bytes([offset + 55 + len(length)]) + length


def decode(data: bytes) -> Item:
    """The one item that `data` spells canonically; raises `BadProof` on any other spelling and on bytes left over."""
    item, end = _decode(data, 0, len(data), 0)
    if end != len(data):
        raise BadProof("rlp", f"{len(data) - end} bytes left over")
    return item


def decode_list(data: bytes) -> list[Item]:
    """Like `decode`, for data that must be a list."""
    item = decode(data)
    if isinstance(item, bytes):
        raise BadProof("rlp", "expected a list, found a string")
    return item


def to_integer(item: Item) -> int:
    """The unsigned integer that an item spells; raises `BadProof` on leading zeros."""
    if not isinstance(item, bytes) or item[:1] == b"\x00":
        raise BadProof("rlp", "not a canonical integer")
    return int.from_bytes(item, "big")


def to_bytes(item: Item, size: int | None = None) -> bytes:
    """The string that an item is; raises `BadProof` on a list or on another size than `size` bytes."""
    if not isinstance(item, bytes) or (size is not None and len(item) != size):
        raise BadProof("rlp", "expected a string" if size is None else f"expected a string of {size} bytes")
    return item


def _decode(data: bytes, start: int, end: int, depth: int) -> tuple[Item, int]:
    if start >= end:
        raise BadProof("rlp", "ends too early")
    first = data[start]
    if first < 0x80:
        return data[start : start + 1], start + 1
    is_list = first >= 0xC0
    begin, stop = _extent(data, start, end, first - (0xC0 if is_list else 0x80))
    if not is_list:
        if stop - begin == 1 and data[begin] < 0x80:
            raise BadProof("rlp", "a single byte with a needless prefix")
        return data[begin:stop], stop
    if depth == _MAX_DEPTH:
        raise BadProof("rlp", f"nested deeper than {_MAX_DEPTH}")
    items: list[Item] = []
    while begin < stop:
        item, begin = _decode(data, begin, stop, depth + 1)
        items.append(item)
    return items, stop


def _extent(data: bytes, start: int, end: int, code: int) -> tuple[int, int]:
    """Where the payload begins and stops; `code` is the prefix without its kind."""
    begin, size = start + 1, code
    if code > 55:
        begin = start + 1 + code - 55
        length = data[start + 1 : min(begin, end)]
        size = int.from_bytes(length, "big")
        if size < 56 or length[0] == 0:
            raise BadProof("rlp", "a length with a needless prefix")
    if begin + size > end:
        raise BadProof("rlp", "ends too early")
    return begin, begin + size
