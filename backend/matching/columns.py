"""What an offer is compared by, column by column: the ledger's comparison of terms (protocol/fit.py) taken apart."""

import struct
from functools import lru_cache
from typing import Final, NamedTuple

from protocol.fit import MAX_NOTICE_SECONDS, is_sound, wants_zone
from protocol.hashing import Address
from protocol.resources import has_guard_bits
from protocol.terms import Offer, Order

LANES: Final = 16
ALL_OF, ANY_OF, NONE_OF, ZONE, NO_ZONE, NO_PROVIDER, TERMS = range(LANES, LANES + 7)
"""The columns that are no lanes. Traits by their bits, a zone by its number, a provider by its number in the index."""

_LANES: Final = struct.Struct(f"<{LANES}H")

Wanted = tuple[int, Address, int, int, int, int]
"""Meter, arbiter, duration, bond, notice, minimum charge: what `terms_meet` compares."""
Need = tuple[int, int] | tuple[int, Wanted]
"""One thing that an offer has or has not: the column, and what is needed there; of a lane, the least."""


class Terms(NamedTuple):
    """An offer's columns that are compared at once: few offers of a book differ in them."""

    meter: int
    arbiter: Address
    min_duration: int
    max_duration: int
    bond: int
    notice: int
    min_charge: int


class Needs(NamedTuple):
    """What an order needs of an offer, but for its rate."""

    every: tuple[Need, ...]
    #: of these one; none = any zone
    zones: tuple[Need, ...]


def terms_of(offer: Offer) -> Terms:
    return Terms(
        offer.meter,
        offer.arbiter,
        offer.min_duration,
        offer.max_duration,
        offer.bond,
        offer.notice,
        offer.min_charge,
    )


def terms_meet(terms: Terms, wanted: Wanted) -> bool:
    meter, arbiter, duration, bond, notice, min_charge = wanted
    return (
        terms.meter == meter
        and terms.arbiter == arbiter
        and terms.min_duration <= duration <= terms.max_duration
        and bond <= terms.bond
        and terms.notice <= notice
        and terms.min_charge <= min_charge
    )


def needs_of(order: Order, min_notice: int, without: tuple[Need, ...] = ()) -> Needs | None:
    """What the order needs, and `without`; None if no offer can meet it. `min_notice` in seconds."""
    if not is_sound(order, min_notice) or has_guard_bits(order.quantities) or order.meter > 1:
        return None
    # An undeclared zone is in no set, whatever bit 0 says.
    if order.zones == 1:
        return None
    if not (min_notice <= order.notice <= MAX_NOTICE_SECONDS and order.min_charge <= order.bond):
        return None
    terms = (order.meter, order.arbiter, order.duration, order.bond, order.notice, order.min_charge)
    traits = ((ALL_OF, order.all_of), (ANY_OF, order.any_of), (NONE_OF, order.none_of))
    every = ((TERMS, terms), *_lanes(order.quantities), *[need for need in traits if need[1]], *without)
    if wants_zone(order):
        every += ((NO_ZONE, 0),)
    return Needs(every, _zones(order.zones & ~1))


# Orders say the same again and again.
@lru_cache(4096)
def _zones(mask: int) -> tuple[Need, ...]:
    found = []
    while mask:
        lowest = mask & -mask
        found.append((ZONE, lowest.bit_length() - 1))
        mask ^= lowest
    return tuple(found)


@lru_cache(4096)
def _lanes(packed: int) -> tuple[Need, ...]:
    """A need for each lane where anything is needed."""
    return tuple([(lane, least) for lane, least in enumerate(_LANES.unpack(packed.to_bytes(32, "little"))) if least])
