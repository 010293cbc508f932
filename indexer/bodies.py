"""How the raw transactions and receipts of a block are kept: compressed, as one list each."""

from collections.abc import Iterable
from zlib import compress, decompress

from protocol.rlp import decode_list, encode, to_bytes


def pack(items: Iterable[bytes]) -> bytes:
    """Raw items as one compressed RLP list."""
    return compress(encode(list(items)), 1)


def unpack(packed: bytes) -> tuple[bytes, ...]:
    """Raises `zlib.error` and `BadProof`."""
    return tuple([to_bytes(item) for item in decode_list(decompress(packed))])
