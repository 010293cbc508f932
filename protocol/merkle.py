"""Merkle roots over 32-byte leaves, domain-separated, so that a leaf is never a node and one tree's never another's."""

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
    node = keccak256(domain + tag("node"))
    level = list(leaves)
    while len(level) > 1:
        paired = [keccak256(node + level[i] + level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = paired + ([level[-1]] if len(level) % 2 else [])
    return level[0]
