"""The book of one auction as it is published (SPEC "Auctions"): all that decided, in one spelling, under one root.

Lines of RFC 8785 JSON: a head, then each offer, order and entry that was left out, sorted. The root that goes on chain
commits to the head, to every line and to their number.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Self

from backend.matching.book import BookOffer, BookOrder
from protocol.errors import ProtocolError
from protocol.hashing import Address, checksum_address, from_hex, keccak256, to_hex
from protocol.merkle import merkle_root, tag
from protocol.messages import Domain, digest, from_json, to_json
from protocol.terms import Offer, Order

VERSION: Final = "gridlease/book/1"
_DOMAIN: Final = tag(VERSION)
_LINE: Final = tag("line")
_REMEMBERED: Final = 16_384


class BadSnapshot(ProtocolError):
    """Not a book that anybody published."""

    code = "bad_snapshot"

    def __init__(self, fact: str) -> None:
        super().__init__(f"not the snapshot of an auction: {fact}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """An entry with a book receipt that takes no part, and why, in the matcher's words."""

    digest: bytes
    why: str
    #: later books need not tell of it
    for_good: bool = False
    #: as it is published. Made with the entry, which many books say again
    line: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        line: dict[str, Any] = {"kind": "left out", "hash": to_hex(self.digest), "why": self.why}
        object.__setattr__(self, "line", _spelt(line | {"forGood": True} if self.for_good else line))


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What an auction decided about."""

    domain: Domain
    matcher: Address
    #: seconds: the ledger's
    min_notice: int
    #: unix seconds of the market's clock
    held_time: int
    #: each book receipt below it is an entry here, unless what it is for has expired or left for good in a book before
    sequence_bound: int
    offers: tuple[BookOffer, ...]
    orders: tuple[BookOrder, ...]
    #: of each order, by digest: 65 bytes of a key, or what its buyer's contract takes
    order_signatures: dict[bytes, bytes]
    left_out: tuple[LeftOut, ...]

    def lines(self) -> list[bytes]:
        """The canonical lines, head first."""
        head = {
            "version": VERSION,
            "chainId": self.domain.chain_id,
            "ledger": self.domain.ledger,
            "matcher": self.matcher,
            "minNotice": self.min_notice,
            "heldTime": self.held_time,
            "sequenceBound": self.sequence_bound,
        }
        return [
            _spelt(head),
            *(_offer_line(entry) for entry in sorted(self.offers, key=lambda entry: entry.digest)),
            *(
                _order_line(entry, self.order_signatures[entry.digest])
                for entry in sorted(self.orders, key=lambda entry: entry.digest)
            ),
            *(entry.line for entry in sorted(self.left_out, key=lambda entry: entry.digest)),
        ]

    def text(self) -> str:
        return text_of(self.lines())

    def root(self) -> bytes:
        """The `bookRoot` of the transactions that open this auction's leases."""
        return root_of(self.lines())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises `BadSnapshot` unless the text is exactly what `text` gives."""
        try:
            found = cls._read([json.loads(line) for line in text.splitlines()])
        except (KeyError, TypeError, ValueError, IndexError, ProtocolError) as error:
            raise BadSnapshot(str(error)) from error
        if found.text() != text:
            raise BadSnapshot("it is spelt otherwise than the market spells it")
        return found

    @classmethod
    def _read(cls, lines: list[dict[str, Any]]) -> Self:
        head, entries = lines[0], lines[1:]
        if head["version"] != VERSION:
            raise BadSnapshot(f"expected version {VERSION}, found {head['version']!r}")
        domain = Domain(chain_id=head["chainId"], ledger=checksum_address(head["ledger"]))
        signatures: dict[bytes, bytes] = {}
        offers, orders, left_out = [], [], []
        for line in entries:
            if line["kind"] == "offer":
                offers.append(_offer(domain, line))
            elif line["kind"] == "order":
                orders.append(_order(domain, line))
                signatures[orders[-1].digest] = from_hex(line["signature"])
            else:
                left_out.append(_left_out(line))
        return cls(
            domain=domain,
            matcher=checksum_address(head["matcher"]),
            min_notice=head["minNotice"],
            held_time=head["heldTime"],
            sequence_bound=head["sequenceBound"],
            offers=tuple(offers),
            orders=tuple(orders),
            order_signatures=signatures,
            left_out=tuple(left_out),
        )


def text_of(lines: list[bytes]) -> str:
    """As it is published."""
    return b"\n".join(lines).decode() + "\n"


def root_of(lines: list[bytes]) -> bytes:
    """keccak256(abi.encode(domain, "book", number of lines, Merkle root over the lines' leaves))."""
    leaves = [_leaf(line) for line in lines]
    return keccak256(_DOMAIN + tag("book") + len(lines).to_bytes(32, "big") + merkle_root(_DOMAIN, leaves))


def _spelt(line: dict[str, Any]) -> bytes:
    """RFC 8785, which is this where keys are ASCII and numbers are integers; its library takes twenty times as long."""
    return json.dumps(line, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


# One book has most of its lines from the book before.
@lru_cache(_REMEMBERED)
def _leaf(line: bytes) -> bytes:
    return keccak256(_DOMAIN + _LINE + keccak256(line))


@lru_cache(_REMEMBERED)
def _offer_line(entry: BookOffer) -> bytes:
    return _spelt(
        {
            "kind": "offer",
            "offer": to_json(entry.offer),
            "signature": to_hex(entry.signature),
            "openLeases": entry.open_leases,
        }
    )


def _left_out(line: dict[str, Any]) -> LeftOut:
    return LeftOut(digest=from_hex(line["hash"], 32), why=line["why"], for_good=line.get("forGood", False))


def _offer(domain: Domain, line: dict[str, Any]) -> BookOffer:
    offer = from_json(Offer, line["offer"])
    # The digest is never taken from the file: it says which message this is.
    return BookOffer(
        digest=digest(domain, offer),
        offer=offer,
        signature=from_hex(line["signature"], 65),
        open_leases=line["openLeases"],
    )


def _order_line(entry: BookOrder, signature: bytes) -> bytes:
    return _spelt(
        {
            "kind": "order",
            "order": to_json(entry.order),
            "signature": to_hex(signature),
            "fills": list(entry.fills),
            "arrived": entry.arrived,
            "tried": sorted(entry.tried),
            "serving": sorted(entry.serving),
            "heldZones": sorted(entry.held_zones),
        }
    )


def _order(domain: Domain, line: dict[str, Any]) -> BookOrder:
    order = from_json(Order, line["order"])
    return BookOrder(
        digest=digest(domain, order),
        order=order,
        fills=tuple(line["fills"]),
        arrived=line["arrived"],
        tried=_addresses(line["tried"]),
        serving=_addresses(line["serving"]),
        held_zones=frozenset(line["heldZones"]),
    )


def _addresses(spelt: Iterable[str]) -> frozenset[Address]:
    return frozenset(checksum_address(address) for address in spelt)
