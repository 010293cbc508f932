"""Identifiers as people type them: the one place that says what is well-formed and why not.

A malformed id is a mistake (400), an unknown one a fact about the chain (404); the two are never mixed up.
"""

from protocol.errors import BadCid, BadHex
from protocol.events import LeaseState
from protocol.hashing import Address, checksum_address, from_hex, sha256_of_cid, to_hex

_MAX_BLOCK = 2**63 - 1


class Malformed(Exception):
    """An identifier or a parameter that cannot name anything; `remedy` says what would."""

    def __init__(self, field: str, fact: str, remedy: str) -> None:
        self.field, self.fact, self.remedy = field, fact, remedy
        super().__init__(f"{field}: {fact}; {remedy}")


class NoSuchPage(Exception):
    """A path that this site does not have."""


class NotOnLedger(Exception):
    """A well-formed identifier that the mirror does not hold."""

    def __init__(self, noun: str, spelt: str) -> None:
        self.noun, self.spelt = noun, spelt
        super().__init__(f"no {noun} {spelt}")


def hash_of(text: str, noun: str) -> bytes:
    """32 bytes of 0x hex in any case; raises `Malformed`."""
    try:
        return from_hex(text.strip(), 32)
    except BadHex as error:
        raise Malformed(noun, str(error), "copy the whole hash, 0x and 64 hex digits") from error


def address_of(text: str) -> Address:
    """An account; one case is taken as it is, mixed case must be the EIP-55 checksum. Raises `Malformed`."""
    try:
        return checksum_address(text.strip())
    except BadHex as error:
        raise Malformed("address", str(error), "copy the address again, or write it in lower case") from error


def block_of(text: str) -> int | bytes:
    """A block number in decimal, or a block hash; raises `Malformed`."""
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= _MAX_BLOCK:
        return int(text)
    if not text.startswith("0x"):
        raise Malformed("block", f"{text[:80]!r} is no block", "give a block number or a block hash")
    return hash_of(text, "block")


def job_of(text: str) -> bytes:
    """A job hash as 0x hex or as CIDv1; raises `Malformed`."""
    if text.startswith("b"):
        try:
            return sha256_of_cid(text)
        except BadCid as error:
            raise Malformed("job", str(error), "copy the whole CID, or give the job hash in hex") from error
    return hash_of(text, "job")


def state_of(text: str) -> LeaseState | None:
    """A stored lease state by name; the empty text asks for all. Raises `Malformed`."""
    names = {state.name.lower(): state for state in LeaseState if state is not LeaseState.NONE}
    if not text:
        return None
    if text not in names:
        raise Malformed("state", f"{text[:20]!r} is no lease state", f"use one of {', '.join(names)}")
    return names[text]


def spelt(value: int | bytes) -> str:
    """The canonical spelling of a block id or a hash."""
    return to_hex(value) if isinstance(value, bytes) else str(value)
