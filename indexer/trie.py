"""Builds the ordered tries of a block (transactions, receipts): their root, and the path that proves one item.

The keys are the RLP of 0, 1, 2, …: none is the beginning of another, so no branch ever holds a value.
"""

from itertools import groupby
from typing import TypeAlias

from protocol.hashing import keccak256
from protocol.proofs import EMPTY_ROOT
from protocol.rlp import Item, encode, integer

#: nibbles of the key, value
Leaf: TypeAlias = tuple[bytes, bytes]


def ordered_root(values: list[bytes]) -> bytes:
    """The root that a block header names for these transactions or receipts."""
    if not values:
        return EMPTY_ROOT
    return keccak256(encode(_node(_leaves(values), 0)))


def ordered_path(values: list[bytes], index: int) -> list[bytes]:
    """The nodes from the root to `values[index]`, without those that their parents embed."""
    target = _key(index)
    leaves, depth = _leaves(values), 0
    path: list[bytes] = []
    while True:
        encoded = encode(_node(leaves, depth))
        if not path or len(encoded) >= 32:
            path.append(encoded)
        if len(leaves) == 1:
            return path
        shared = _shared(leaves, depth)
        if shared > depth:
            # An extension: its branch is a node of its own.
            depth = shared
            continue
        leaves = [leaf for leaf in leaves if leaf[0][depth] == target[depth]]
        depth += 1


def _leaves(values: list[bytes]) -> list[Leaf]:
    return sorted((_key(index), value) for index, value in enumerate(values))


def _key(index: int) -> bytes:
    return bytes([nibble for byte in encode(integer(index)) for nibble in (byte >> 4, byte & 15)])


def _node(leaves: list[Leaf], depth: int) -> list[Item]:
    """The node over `leaves`, which are sorted and agree in their first `depth` nibbles."""
    if len(leaves) == 1:
        key, value = leaves[0]
        return [_hex_prefix(key[depth:], 2), value]
    shared = _shared(leaves, depth)
    if shared > depth:
        return [_hex_prefix(leaves[0][0][depth:shared], 0), _reference(_node(leaves, shared))]
    branch: list[Item] = [b""] * 17
    for nibble, below in groupby(leaves, key=lambda leaf: leaf[0][depth]):
        branch[nibble] = _reference(_node(list(below), depth + 1))
    return branch


def _shared(leaves: list[Leaf], depth: int) -> int:
    """How many nibbles all keys share; first and last suffice, because they are sorted."""
    first, last = leaves[0][0], leaves[-1][0]
    while first[depth] == last[depth]:
        depth += 1
    return depth


def _reference(node: list[Item]) -> Item:
    encoded = encode(node)
    return node if len(encoded) < 32 else keccak256(encoded)


def _hex_prefix(nibbles: bytes, flag: int) -> bytes:
    padded = bytes([flag + 1] if len(nibbles) % 2 else [flag, 0]) + nibbles
    return bytes([high << 4 | low for high, low in zip(padded[::2], padded[1::2], strict=True)])
