"""Builds Merkle-Patricia tries: the ordered ones of a block (transactions, receipts), and any with keys of one length.

No key is the beginning of another (RLP of 0, 1, 2, …, or hashes), so no branch ever holds a value.
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
    return trie_root(_leaves(values))


def ordered_path(values: list[bytes], index: int) -> list[bytes]:
    """The nodes from the root to `values[index]`, without those that their parents embed."""
    return trie_path(_leaves(values), encode(integer(index)))


def trie_root(leaves: list[Leaf]) -> bytes:
    """The root over sorted leaves."""
    if not leaves:
        return EMPTY_ROOT
    return keccak256(encode(_node(leaves, 0)))


def trie_path(leaves: list[Leaf], key: bytes) -> list[bytes]:
    """The nodes from the root to `key`, or to where the trie shows that it does not hold it; `leaves` are sorted."""
    target, depth = nibbles_of(key), 0
    path: list[bytes] = []
    while leaves:
        encoded = encode(_node(leaves, depth))
        if not path or len(encoded) >= 32:
            path.append(encoded)
        if len(leaves) == 1:
            break
        shared = _shared(leaves, depth)
        if shared > depth:
            # An extension: its branch is a node of its own.
            if target[depth:shared] != leaves[0][0][depth:shared]:
                break
            depth = shared
            continue
        leaves = [leaf for leaf in leaves if leaf[0][depth] == target[depth]]
        depth += 1
    return path


def nibbles_of(key: bytes) -> bytes:
    """A key as the trie walks it: a half byte a step."""
    return bytes([nibble for byte in key for nibble in (byte >> 4, byte & 15)])


def _leaves(values: list[bytes]) -> list[Leaf]:
    return sorted((nibbles_of(encode(integer(index))), value) for index, value in enumerate(values))


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
