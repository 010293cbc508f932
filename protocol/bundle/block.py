"""The blocks of a bundle: a header that hashes to the stated hash, and whether the reader trusts that hash."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from protocol.bundle.file import require_hex, require_members, require_number
from protocol.errors import BadProof
from protocol.hashing import keccak256, to_hex
from protocol.proofs import Header, parse_header


@dataclass(frozen=True, slots=True)
class ProvedBlock:
    """A block that a bundle speaks of."""

    number: int
    hash: bytes
    #: unix seconds
    time: int

    @classmethod
    def of(cls, header: Header) -> "ProvedBlock":
        return cls(header.number, header.hash, header.time)

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return {"number": self.number, "hash": to_hex(self.hash), "time": self.time}


def block_member(header_rlp: bytes) -> dict[str, Any]:
    """A block as a bundle spells it; raises `BadProof`."""
    header = parse_header(header_rlp)
    return {"number": header.number, "hash": to_hex(header.hash), "header": to_hex(header_rlp)}


def read_block(value: Any) -> tuple[bytes, int, bytes]:
    """Form only: stated hash, stated number, header bytes."""
    block = require_members(value, ("number", "hash", "header"), "block")
    number = require_number(block["number"], "block number")
    return require_hex(block["hash"], 32, "block hash"), number, require_hex(block["header"], None, "header")


def check_header(stated: bytes, number: int, header_rlp: bytes) -> Header:
    """The header's fields, if its bytes are those of the stated block; raises `BadProof`."""
    found = keccak256(header_rlp)
    if found != stated:
        raise BadProof("header", f"it hashes to {to_hex(found)}, not to {to_hex(stated)}")
    header = parse_header(header_rlp)
    if header.number != number:
        raise BadProof("header", f"it is of block {header.number}, not {number}")
    return header


def check_anchor(stated: bytes, trusted: Collection[bytes]) -> None:
    """Raises `BadProof` if hashes are trusted and this one is not among them."""
    if trusted and stated not in trusted:
        spelt = ", ".join(to_hex(one) for one in trusted)
        raise BadProof("anchor", f"it is about block {to_hex(stated)}, trusted is {spelt}")
