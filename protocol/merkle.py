"""Merkle roots over 32-byte leaves, domain-separated, so that a leaf is never a node and one tree's never another's."""

from collections.abc import Sequence

from protocol.hashing import ZERO_HASH, keccak256


def tag(name: str) -> bytes:
    """A 32-byte domain tag, such as `gridlease/trace/1`."""
    return keccak256(name.encode())


def merkle_root(domain: bytes, leaves: list[bytes]) -> bytes:
    """keccak256(abi.encode(domain, "node", left, right)) upwards; an odd node moves up as it is; no leaves give zero.

    The number of leaves is bound by the caller's own commitment (results.py hashes it beside the root).
    """
    if not leaves:
        return ZERO_HASH
    level = list(leaves)
    while len(level) > 1:
        level = _parents(domain, level)
    return level[0]


def merkle_proof(domain: bytes, leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The siblings of leaf `index` from the bottom up; a level where it has none adds none. Raises `IndexError`."""
    if not 0 <= index < len(leaves):
        raise IndexError(f"leaf {index} of {len(leaves)}")
    level, proof = list(leaves), []
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            proof.append(level[sibling])
        level, index = _parents(domain, level), index // 2
    return proof


def proof_holds(domain: bytes, root: bytes, count: int, index: int, leaf: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `leaf` has number `index` of `count` under `root`. A proof has one spelling: none spare, none missing."""
    if not 0 <= index < count:
        return False
    siblings = iter(proof)
    while count > 1:
        if index ^ 1 < count:
            sibling = next(siblings, None)
            if sibling is None:
                return False
            pair = [sibling, leaf] if index % 2 else [leaf, sibling]
            leaf = _parents(domain, pair)[0]
        index, count = index // 2, (count + 1) // 2
    return next(siblings, None) is None and leaf == root


def _parents(domain: bytes, level: list[bytes]) -> list[bytes]:
    node = keccak256(domain + tag("node"))
    paired = [keccak256(node + level[i] + level[i + 1]) for i in range(0, len(level) - 1, 2)]
    return paired + ([level[-1]] if len(level) % 2 else [])
