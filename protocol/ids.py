"""Identifiers: a lease's on chain, and the market's own prefixed ids."""

import secrets
import time

from protocol.hashing import keccak256

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def lease_id(order_digest: bytes, fill: int) -> bytes:
    """keccak256(abi.encode(order digest, fill)): the order authenticates its leases (SPEC "Leases")."""
    if len(order_digest) != 32 or not 0 <= fill <= 255:
        raise ValueError("a lease id needs a 32-byte order digest and a fill of 0..255")
    return keccak256(order_digest + fill.to_bytes(32, "big"))


def new_id(prefix: str) -> str:
    """`prefix_` and a ULID in lower case: 48 bits of milliseconds, 80 random bits; sorts by time of making."""
    return _spelt(prefix, (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80))


def first_id(prefix: str, milliseconds: int) -> str:
    """The least id that could be made at a time or later; unix milliseconds."""
    return _spelt(prefix, min(max(milliseconds, 0), (1 << 48) - 1) << 80)


def _spelt(prefix: str, value: int) -> str:
    digits = [_CROCKFORD[(value >> shift) & 31] for shift in range(125, -1, -5)]
    return f"{prefix}_{''.join(digits)}"
