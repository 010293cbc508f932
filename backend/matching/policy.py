"""The matching rule, pure (SPEC "Matching rule"): a function of the book and of nothing else.

Orders are taken in the order of their arrival, then of their digest. Each gets the cheapest offer that the ledger would
accept for it and whose provider has room; equal rates go to the lower offer digest. An offer of a provider that already
served an earlier fill of the order comes after all others, so that a retry goes elsewhere while there is an elsewhere.
"""

from collections import Counter
from dataclasses import dataclass

from protocol.events import Skip
from protocol.fit import mismatch
from protocol.hashing import Address
from protocol.resources import lanes_short
from protocol.terms import Offer, Order
from protocol.zones import zone_by_number


@dataclass(frozen=True, slots=True, kw_only=True)
class BookOffer:
    """A live offer in the book."""

    digest: bytes
    offer: Offer
    signature: bytes
    #: leases that its provider serves now
    open_leases: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BookOrder:
    """An order that waits for its next fill."""

    digest: bytes
    order: Order
    fill: int
    #: unix milliseconds
    arrived: int
    #: providers of earlier fills
    tried: frozenset[Address] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """An order with the offer that the rule gives it."""

    order: BookOrder
    offer: BookOffer


def match(offers: list[BookOffer], orders: list[BookOrder], min_notice: int) -> list[Pairing]:
    """The pairings of one auction."""
    taken: Counter[Address] = Counter()
    pairings = []
    by_price = sorted(offers, key=lambda entry: (entry.offer.rate, entry.digest))
    for order in sorted(orders, key=lambda entry: (entry.arrived, entry.digest)):
        fitting = (offer for offer in by_price if _refusal(offer, order, taken, min_notice) is Skip.NONE)
        best = min(fitting, key=lambda entry: entry.offer.provider in order.tried, default=None)
        if best is not None:
            taken[best.offer.provider] += 1
            pairings.append(Pairing(order=order, offer=best))
    return pairings


def _refusal(entry: BookOffer, order: BookOrder, taken: Counter[Address], min_notice: int) -> Skip:
    skip = mismatch(entry.offer, order.order, min_notice)
    if skip is Skip.NONE and entry.open_leases + taken[entry.offer.provider] >= entry.offer.capacity:
        return Skip.CAPACITY
    return skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why an offer was refused, and the nearest change of the order that would take it."""

    entry: BookOffer
    skip: Skip
    remedy: str


def explain(offers: list[BookOffer], order: BookOrder, min_notice: int) -> list[Explanation]:
    """The refusal of each offer that does not fit."""
    nobody: Counter[Address] = Counter()
    refused = ((entry, _refusal(entry, order, nobody, min_notice)) for entry in offers)
    return [
        Explanation(entry=entry, skip=skip, remedy=_remedy(entry.offer, order.order, skip))
        for entry, skip in refused
        if skip is not Skip.NONE
    ]


def _remedy(offer: Offer, order: Order, skip: Skip) -> str:
    zone = zone_by_number(offer.zone)
    remedies = {
        Skip.RATE: f"raise max_rate to {offer.rate} (you offer {order.max_rate})",
        Skip.DURATION: f"set duration_seconds between {offer.min_duration} and {offer.max_duration}",
        Skip.NOTICE: f"the offer wants a notice of {offer.notice} s, this market signs {order.notice} s",
        Skip.QUANTITIES: f"lower {', '.join(lanes_short(offer.quantities, order.quantities))}",
        Skip.TRAITS: "drop a trait from all_of, any_of or none_of",
        Skip.ZONE: f"allow zone {zone.id}" if zone else "allow any zone; this offer declares none",
        Skip.CAPACITY: "wait: all its leases are taken",
        Skip.METER: "the offer is metered otherwise",
    }
    return remedies.get(skip, "no change of this order would help")
