"""The one search box: what a text can name, and where that is.

An exact hit is a redirect. What is not found is said to be absent *up to a block*, never to be absent.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from explorer.identifiers import Malformed, address_of
from indexer.queries import Hit, Reads
from protocol.errors import BadCid
from protocol.hashing import sha256_of_cid, to_hex

_HEX: Final = frozenset("0123456789abcdefABCDEF")
_LONGEST: Final = 100
_SHORTEST_PREFIX: Final = 4


class Shape(StrEnum):
    """What the text looks like, before anything is looked up."""

    EMPTY = "empty"
    BLOCK_NUMBER = "block_number"
    ADDRESS = "address"
    BAD_ADDRESS = "bad_address"
    HASH = "hash"
    JOB_ID = "job_id"
    PREFIX = "prefix"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A search text in its canonical spelling."""

    shape: Shape
    #: decimal digits, EIP-55 address, 0x hex, or the text as it came
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A page that answers a search."""

    kind: str
    id: str
    path: str
    label: str


def classify(text: str) -> Query:
    """The shape of a search text; 0x may be missing, blanks around it and the case of hex do not matter."""
    text = text.strip()
    if not text:
        return Query(shape=Shape.EMPTY, text="")
    if len(text) > _LONGEST:
        return Query(shape=Shape.OTHER, text=text)
    digits = text.replace(",", "").removeprefix("#")
    if digits.isascii() and digits.isdigit() and len(digits) <= 18:
        return Query(shape=Shape.BLOCK_NUMBER, text=str(int(digits)))
    if text.startswith("job_"):
        return Query(shape=Shape.JOB_ID, text=text)
    body = text[2:] if text[:2] in ("0x", "0X") else text
    if body and _HEX.issuperset(body):
        return _hex(body)
    try:
        return Query(shape=Shape.HASH, text=to_hex(sha256_of_cid(text)))
    except BadCid:
        return Query(shape=Shape.OTHER, text=text)


def _hex(body: str) -> Query:
    if len(body) == 40:
        try:
            return Query(shape=Shape.ADDRESS, text=address_of("0x" + body))
        except Malformed:
            return Query(shape=Shape.BAD_ADDRESS, text="0x" + body)
    if len(body) == 64:
        return Query(shape=Shape.HASH, text="0x" + body.lower())
    if _SHORTEST_PREFIX <= len(body) < 64:
        return Query(shape=Shape.PREFIX, text="0x" + body.lower())
    return Query(shape=Shape.OTHER, text="0x" + body)


def find(mirror: Reads, query: Query) -> list[Found]:
    """Pages for the query, best first; one exact hit is a list of one."""
    match query.shape:
        case Shape.BLOCK_NUMBER:
            block = mirror.block(int(query.text))
            return [_found("block", query.text, f"Block {query.text}")] if block else []
        case Shape.ADDRESS:
            return [_found("address", query.text, f"Account {query.text}")]
        case Shape.HASH:
            return _by_hash(mirror, bytes.fromhex(query.text[2:]))
        case Shape.PREFIX:
            return [found for hit in mirror.search(query.text) if (found := _of_hit(hit)) is not None]
    return []


def _by_hash(mirror: Reads, value: bytes) -> list[Found]:
    text = to_hex(value)
    found = []
    if mirror.lease(value) is not None:
        found.append(_found("lease", text, f"Lease {text}"))
    if mirror.transaction(value) is not None:
        found.append(_found("tx", text, f"Transaction {text}"))
    if mirror.block(value) is not None:
        found.append(_found("block", text, f"Block {text}"))
    if mirror.job(value):
        found.append(_found("job", text, f"Job {text}"))
    if not found and (leases := mirror.leases(order=value, limit=16)):
        found.extend(_found("lease", to_hex(row.lease), f"Fill {row.fill} of order {text}") for row in leases)
    return found


_KINDS: Final = {
    "block": "block",
    "transaction": "tx",
    "tx": "tx",
    "account": "address",
    "address": "address",
    "buyer": "address",
    "provider": "provider",
    "lease": "lease",
    "job": "job",
}


def _of_hit(hit: Hit) -> Found | None:
    kind = _KINDS.get(hit.kind)
    return _found(kind, hit.id, hit.label) if kind else None


def _found(kind: str, identifier: str, label: str) -> Found:
    return Found(kind=kind, id=identifier, path=f"/{kind}/{identifier}", label=label)
