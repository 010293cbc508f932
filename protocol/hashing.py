"""Hashes and their spellings. keccak256 for what the chain checks, SHA-256 for files, CIDv1 as a file's name."""

import base64
import hashlib
from functools import lru_cache
from typing import Final, NewType

from protocol.errors import BadCid, BadHex
from protocol.keccak import keccak256

__all__ = [
    "ZERO_ADDRESS",
    "ZERO_HASH",
    "Address",
    "checksum_address",
    "cid_of",
    "from_hex",
    "keccak256",
    "sha256",
    "sha256_of_cid",
    "to_hex",
]

Address = NewType("Address", str)
"""An account, spelt with EIP-55 checksum."""

ZERO_ADDRESS: Final = Address("0x" + "00" * 20)
ZERO_HASH: Final = bytes(32)

# CIDv1 · raw (0x55) · sha2-256 (0x12) · 32 bytes (0x20)
_CID_PREFIX: Final = b"\x01\x55\x12\x20"


def sha256(data: bytes) -> bytes:
    """A file's identity, 32 bytes."""
    return hashlib.sha256(data).digest()


def to_hex(data: bytes) -> str:
    """Lower-case hex with 0x."""
    return "0x" + data.hex()


def from_hex(text: str, size: int | None = None) -> bytes:
    """Bytes of 0x-prefixed hex; raises `BadHex` on anything else or on another size than `size` bytes."""
    if not isinstance(text, str) or not text.startswith("0x"):
        raise BadHex(str(text), size)
    try:
        data = bytes.fromhex(text[2:])
    except ValueError:
        raise BadHex(text, size) from None
    # bytes.fromhex skips blanks, so two spellings would name one value.
    if 2 * len(data) != len(text) - 2 or (size is not None and len(data) != size):
        raise BadHex(text, size)
    return data


def checksum_address(address: str | bytes) -> Address:
    """EIP-55 spelling of 20 bytes or of 40 hex digits; mixed case must already be right. Raises `BadHex`."""
    if isinstance(address, bytes):
        if len(address) != 20:
            raise BadHex(to_hex(address), 20)
        return _checksummed(address)
    return _respelt(address) if isinstance(address, str) else _checksummed(from_hex(address, 20))


# A ledger has few accounts and many rows and messages that name them; the hash is most of what one costs to spell.
@lru_cache(maxsize=65_536)
def _respelt(address: str) -> Address:
    raw = from_hex(address, 20)
    digits, spelt = raw.hex(), _checksummed(raw)
    if address[2:] not in (digits, digits.upper(), spelt[2:]):
        raise BadHex(address + " (EIP-55 checksum is wrong)", 20)
    return spelt


@lru_cache(maxsize=65_536)
def _checksummed(raw: bytes) -> Address:
    digits = raw.hex()
    mask = keccak256(digits.encode()).hex()
    return Address(
        "0x"
        + "".join(digit.upper() if int(nibble, 16) >= 8 else digit for digit, nibble in zip(digits, mask, strict=False))
    )


def cid_of(digest: bytes) -> str:
    """CIDv1 text (base32, raw, sha2-256) of a SHA-256."""
    if len(digest) != 32:
        raise BadHex(to_hex(digest), 32)
    return "b" + base64.b32encode(_CID_PREFIX + digest).decode().lower().rstrip("=")


def sha256_of_cid(cid: str) -> bytes:
    """The SHA-256 that a CIDv1 names; raises `BadCid` on any other codec, hash or spelling."""
    if not isinstance(cid, str) or len(cid) != 59 or not cid.startswith("b"):
        raise BadCid(str(cid))
    return _named_by(cid)


# Jobs name few modules, again and again.
@lru_cache(maxsize=4096)
def _named_by(cid: str) -> bytes:
    try:
        raw = base64.b32decode(cid[1:].upper() + "=" * (-(len(cid) - 1) % 8))
    except ValueError as error:
        raise BadCid(cid) from error
    # Unused trailing bits would give one hash two spellings.
    if raw[:4] != _CID_PREFIX or len(raw) != 36 or cid_of(raw[4:]) != cid:
        raise BadCid(cid)
    return raw[4:]
