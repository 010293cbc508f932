"""What a raw transaction says of itself: hash, sender by signature, whom it calls. Pure."""

from dataclasses import dataclass
from typing import Final

from protocol.errors import BadProof, BadSignature
from protocol.hashing import keccak256
from protocol.keys import recover_address
from protocol.proofs import DEPOSIT_TYPE
from protocol.rlp import Item, decode_list, encode, integer, to_bytes, to_integer

#: type → where `to` stands; value and calldata follow it, the signature is the last three fields
_TO: Final = {0: 3, 1: 4, 2: 5, 3: 5, 4: 5, DEPOSIT_TYPE: 2}
#: [sourceHash, from, to, mint, value, gas, isSystemTx, data]: the layer below authorised it, so nobody signed
_DEPOSIT_FIELDS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A signed transaction's own facts."""

    hash: bytes
    #: 20 bytes, recovered from the signature; 20 zero bytes where it is no signature (a dev node's impersonation)
    sender: bytes
    #: None where it creates a contract
    recipient: bytes | None
    #: None of a deposit, whose nonce is only in its receipt
    nonce: int | None
    #: first four bytes of the calldata, or fewer
    selector: bytes


def recipient_of(raw: bytes) -> bytes | None:
    """Whom a raw transaction calls; cheap enough to ask of every transaction of a block."""
    kind, fields = _fields(raw)
    return to_bytes(fields[_TO[kind]]) or None


def parse_transaction(raw: bytes) -> Transaction:
    """Raises `BadProof` when the bytes are no transaction of type 0 to 4, and no deposit."""
    kind, fields = _fields(raw)
    to = _TO[kind]
    if kind == DEPOSIT_TYPE:
        return Transaction(
            hash=keccak256(raw),
            sender=to_bytes(fields[1], 20),
            recipient=to_bytes(fields[to]) or None,
            nonce=None,
            selector=to_bytes(fields[7])[:4],
        )
    return Transaction(
        hash=keccak256(raw),
        sender=_sender(kind, fields),
        recipient=to_bytes(fields[to]) or None,
        nonce=to_integer(fields[1 if kind else 0]),
        selector=to_bytes(fields[to + 2])[:4],
    )


def _fields(raw: bytes) -> tuple[int, list[Item]]:
    kind = raw[0] if raw and raw[0] < 0x80 else 0
    fields = decode_list(raw[1:] if kind else raw)
    if kind not in _TO or len(fields) < _TO[kind] + 6 or (kind == DEPOSIT_TYPE and len(fields) != _DEPOSIT_FIELDS):
        raise BadProof("transaction", f"not a transaction of type 0 to 4 and no deposit, found type {kind}")
    return kind, fields


def _sender(kind: int, fields: list[Item]) -> bytes:
    v, r, s = (to_integer(item) for item in fields[-3:])
    signed = fields[:-3]
    parity = v
    if kind == 0:
        # EIP-155 hides the chain id in v; before it v was 27 or 28.
        if v >= 35:
            signed = [*signed, integer((v - 35) // 2), b"", b""]
        parity = (v - 35) % 2 if v >= 35 else v - 27
    payload = (bytes([kind]) if kind else b"") + encode(signed)
    try:
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([27 + parity])
        address = recover_address(keccak256(payload), signature)
    except (BadSignature, ValueError, OverflowError):
        return bytes(20)
    return bytes.fromhex(address[2:])
