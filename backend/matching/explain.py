"""Why an order is not met: of each offer the first term that keeps it from it, in the ledger's order of checks."""

from dataclasses import dataclass

from backend.matching.book import BookOffer, BookOrder
from protocol.events import Skip
from protocol.fit import mismatch
from protocol.resources import lanes_short
from protocol.terms import Offer, Order
from protocol.zones import zone_by_number


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why an offer was refused, and the nearest change of the order that would take it."""

    entry: BookOffer
    skip: Skip
    remedy: str


def explain(offers: list[BookOffer], order: BookOrder, min_notice: int) -> list[Explanation]:
    """The refusal of each offer that does not fit."""
    refused = ((entry, _refusal(entry, order, min_notice)) for entry in offers)
    return [
        Explanation(entry=entry, skip=skip, remedy=_remedy(entry.offer, order.order, skip))
        for entry, skip in refused
        if skip is not Skip.NONE
    ]


def _refusal(entry: BookOffer, order: BookOrder, min_notice: int) -> Skip:
    skip = mismatch(entry.offer, order.order, min_notice)
    return Skip.CAPACITY if skip is Skip.NONE and entry.room == 0 else skip


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
