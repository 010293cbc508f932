"""Auctions as a market publishes them, by a matcher that is honest or is not, without a market."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

from backend.matching.audit import HeldReceipt, Outcome
from backend.matching.book import BookOffer, BookOrder, Pairing
from backend.matching.policy import match
from backend.matching.snapshot import Snapshot
from protocol.events import LeaseOpened
from protocol.hashing import ZERO_HASH
from protocol.ids import lease_id
from protocol.keys import LocalKey
from protocol.messages import Domain, digest, sign
from protocol.terms import BookReceipt, Offer, Order
from tests.support.builders import an_address
from tests.support.random_books import MIN_NOTICE, random_book

DOMAIN = Domain(chain_id=31337, ledger=an_address("ledger"))
HELD_TIME = 1_800_000_000
Matcher = Callable[[Snapshot], list[Pairing]]


@cache
def key_of(label: str) -> LocalKey:
    return LocalKey.derive(bytes(32), label)


MATCHER = key_of("matcher")


def honest(snapshot: Snapshot) -> list[Pairing]:
    return match(snapshot.offers, snapshot.orders, snapshot.min_notice)


def random_snapshot(seed: int) -> Snapshot:
    """A random book, in which each offer is signed and each digest is its message's."""
    offers, orders = random_book(seed)
    names = {an_address(f"provider {number}"): key_of(f"provider {number}") for number in range(24)}
    signed = [_signed(entry, names[entry.offer.provider]) for entry in offers]
    named = [
        replace(
            entry,
            digest=digest(DOMAIN, entry.order),
            tried=frozenset(names[provider].address for provider in entry.tried),
            serving=frozenset(names[provider].address for provider in entry.serving),
        )
        for entry in orders
    ]
    return snapshot_of(signed, named)


def snapshot_of(offers: list[BookOffer], orders: list[BookOrder]) -> Snapshot:
    return Snapshot(
        domain=DOMAIN,
        matcher=MATCHER.address,
        min_notice=MIN_NOTICE,
        held_time=HELD_TIME,
        sequence_bound=1 + len(offers) + len(orders),
        offers=tuple(offers),
        orders=tuple(orders),
        order_signatures={entry.digest: bytes(65) for entry in orders},
        left_out=(),
    )


def _signed(entry: BookOffer, key: LocalKey) -> BookOffer:
    offer = replace(entry.offer, provider=key.address)
    return replace(entry, offer=offer, digest=digest(DOMAIN, offer), signature=sign(DOMAIN, offer, key))


def receipts_of(snapshot: Snapshot) -> list[HeldReceipt]:
    """Of all that is in the book, as its matcher signed them."""
    messages: list[Offer | Order] = [entry.offer for entry in snapshot.offers]
    messages += [entry.order for entry in snapshot.orders]
    held = []
    for sequence, message in enumerate(messages, 1):
        receipt = BookReceipt(
            matcher=MATCHER.address,
            hash=digest(DOMAIN, message),
            sequence=sequence,
            received_at=HELD_TIME - 10,
        )
        held.append(HeldReceipt(receipt=receipt, signature=sign(DOMAIN, receipt, MATCHER), message=message))
    return held


def outcome_of(snapshot: Snapshot, matcher: Matcher = honest) -> Outcome:
    """The ledger after that matcher's transactions."""
    return Outcome(roots=frozenset({snapshot.root()}), opened=tuple(_opened(pairing) for pairing in matcher(snapshot)))


def _opened(pairing: Pairing) -> LeaseOpened:
    order, offer = pairing.order.order, pairing.offer.offer
    return LeaseOpened(
        lease=lease_id(pairing.order.digest, pairing.fill),
        buyer=order.buyer,
        provider=offer.provider,
        order=pairing.order.digest,
        offer=pairing.offer.digest,
        job=ZERO_HASH,
        voucher_signer=order.voucher_signer,
        opener=MATCHER.address,
        fill=pairing.fill,
        meter=offer.meter,
        zone=offer.zone,
        rate=offer.rate,
        locked=1,
        bond=0,
        fee=0,
        deadline=0,
        notice=0,
    )
