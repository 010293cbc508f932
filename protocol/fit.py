"""Does an offer meet an order? The ledger's own comparison of terms, in the ledger's own order (SPEC "Open")."""

from typing import Final

from protocol.events import Skip
from protocol.hashing import ZERO_ADDRESS
from protocol.resources import lanes_cover
from protocol.terms import Offer, Order

MAX_NOTICE_SECONDS: Final = 30 * 24 * 3600
MAX_LEASES: Final = 16


def supports_offer(offer: Offer) -> bool:
    """Fields that the ledger does not enforce yet must be 0."""
    return offer.bond == 0 and offer.min_charge == 0 and offer.arbiter == ZERO_ADDRESS


def supports_order(order: Order) -> bool:
    """Fields that the ledger does not enforce yet must be 0; one replica."""
    zero = (order.attested, order.quorum, order.bond, order.min_charge, order.challenge_window)
    nobody = (order.auditor, order.arbiter, order.deputy)
    return (
        not any(zero)
        and all(address == ZERO_ADDRESS for address in nobody)
        and not order.distinct_zones
        and order.replicas == 1
    )


def mismatch(offer: Offer, order: Order, min_notice: int) -> Skip:
    """The first term that keeps the offer from meeting the order, NONE if all hold; `min_notice` in seconds."""
    checks = (
        (Skip.LIMITS, order.voucher_signer != ZERO_ADDRESS and 1 <= order.max_leases <= MAX_LEASES),
        (Skip.METER, offer.meter == order.meter and offer.meter <= 1),
        (Skip.RATE, 0 < offer.rate <= order.max_rate),
        (Skip.DURATION, offer.min_duration <= order.duration <= offer.max_duration),
        (Skip.NOTICE, max(offer.notice, min_notice) <= order.notice <= MAX_NOTICE_SECONDS),
        (Skip.QUANTITIES, lanes_cover(offer.quantities, order.quantities)),
        (Skip.TRAITS, _traits_meet(offer.traits, order)),
        (Skip.ZONE, order.zones == 0 or (offer.zone != 0 and bool(order.zones >> offer.zone & 1))),
    )
    return next((skip for skip, holds in checks if not holds), Skip.NONE)


def _traits_meet(traits: int, order: Order) -> bool:
    return (
        traits & order.all_of == order.all_of
        and (order.any_of == 0 or traits & order.any_of != 0)
        and traits & order.none_of == 0
    )
