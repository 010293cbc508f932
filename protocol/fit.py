"""Does an offer meet an order? The ledger's own comparison of terms, in the ledger's own order (SPEC "Open")."""

from typing import Final

from protocol.events import Skip
from protocol.hashing import ZERO_ADDRESS
from protocol.resources import lanes_cover
from protocol.terms import Offer, Order

MAX_NOTICE_SECONDS: Final = 30 * 24 * 3600
MAX_LEASES: Final = 16
ZONE_BIT: Final = 1 << 255
"""The bit of `attested` that stands for the zone."""


def is_sound(order: Order, min_notice: int) -> bool:
    """The order alone: a signer, counts that fit each other, no dispute terms without an arbiter."""
    if order.voucher_signer == ZERO_ADDRESS or not 1 <= order.replicas <= order.max_leases <= MAX_LEASES:
        return False
    if order.quorum != 0 and not order.replicas < 2 * order.quorum <= 2 * order.replicas:
        return False
    if order.attested != 0 and order.auditor == ZERO_ADDRESS:
        return False
    if order.arbiter == ZERO_ADDRESS:
        return order.challenge_window == 0 and order.quorum == 0
    return min_notice <= order.challenge_window <= MAX_NOTICE_SECONDS


def mismatch(offer: Offer, order: Order, min_notice: int) -> Skip:
    """The first term that keeps the offer from meeting the order, NONE if all hold; `min_notice` in seconds."""
    checks = (
        (Skip.LIMITS, is_sound(order, min_notice)),
        (Skip.METER, offer.meter == order.meter and offer.meter <= 1),
        (Skip.ARBITER, offer.arbiter == order.arbiter),
        (Skip.RATE, 0 < offer.rate <= order.max_rate),
        (Skip.DURATION, offer.min_duration <= order.duration <= offer.max_duration),
        (Skip.BOND, order.bond <= offer.bond),
        (Skip.NOTICE, max(offer.notice, min_notice) <= order.notice <= MAX_NOTICE_SECONDS),
        (Skip.MIN_CHARGE, offer.min_charge <= order.min_charge <= order.bond),
        (Skip.QUANTITIES, lanes_cover(offer.quantities, order.quantities)),
        (Skip.TRAITS, traits_meet(offer.traits, order.all_of, order.any_of, order.none_of)),
        (Skip.ZONE, zone_meets(offer.zone, order.zones, declared=wants_zone(order))),
    )
    return next((skip for skip, holds in checks if not holds), Skip.NONE)


def wants_zone(order: Order) -> bool:
    """Whether an undeclared zone is refused even where any zone would do."""
    return order.distinct_zones or order.attested & ZONE_BIT != 0


def zone_meets(zone: int, zones: int, *, declared: bool) -> bool:
    """Zone 0 is undeclared: in no set, distinct from nothing, and never attested."""
    if zone == 0:
        return zones == 0 and not declared
    return zones == 0 or bool(zones >> zone & 1)


def traits_meet(traits: int, all_of: int, any_of: int, none_of: int) -> bool:
    return traits & all_of == all_of and (any_of == 0 or traits & any_of != 0) and traits & none_of == 0
