"""What an offer is compared by, column by column: the ledger's comparison of terms (protocol/fit.py) taken apart."""

import struct
from typing import Final, NamedTuple

from protocol.fit import MAX_NOTICE_SECONDS, is_sound, wants_zone
from protocol.hashing import Address
from protocol.resources import has_guard_bits
from protocol.terms import Offer, Order

_LANES: Final = struct.Struct("<16H")


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

    #: meter, arbiter, duration, bond, notice, minimum charge: what `terms_meet` compares
    terms: tuple[int, Address, int, int, int, int]
    #: numbers of the traits
    all_of: tuple[int, ...]
    any_of: tuple[int, ...]
    none_of: tuple[int, ...]
    #: numbers of the zones that it takes; None = any
    zones: tuple[int, ...] | None
    #: whether an undeclared zone is refused
    declared: bool
    #: (lane, least value) where anything is needed
    lanes: tuple[tuple[int, int], ...]


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


def terms_meet(terms: Terms, wanted: tuple[int, Address, int, int, int, int]) -> bool:
    meter, arbiter, duration, bond, notice, min_charge = wanted
    return (
        terms.meter == meter
        and terms.arbiter == arbiter
        and terms.min_duration <= duration <= terms.max_duration
        and bond <= terms.bond
        and terms.notice <= notice
        and terms.min_charge <= min_charge
    )


def lanes_of(packed: int) -> tuple[int, ...]:
    return _LANES.unpack(packed.to_bytes(32, "little"))


def bits_of(mask: int) -> tuple[int, ...]:
    """Numbers of the bits that are set, lowest first."""
    found = []
    while mask:
        lowest = mask & -mask
        found.append(lowest.bit_length() - 1)
        mask ^= lowest
    return tuple(found)


def needs_of(order: Order, min_notice: int) -> Needs | None:
    """What the order needs; None if no offer can meet it. `min_notice` in seconds."""
    if not is_sound(order, min_notice) or has_guard_bits(order.quantities) or order.meter > 1:
        return None
    if not (min_notice <= order.notice <= MAX_NOTICE_SECONDS and order.min_charge <= order.bond):
        return None
    return Needs(
        (order.meter, order.arbiter, order.duration, order.bond, order.notice, order.min_charge),
        bits_of(order.all_of),
        bits_of(order.any_of),
        bits_of(order.none_of),
        # An undeclared zone is in no set, whatever bit 0 says.
        bits_of(order.zones & ~1) if order.zones else None,
        wants_zone(order),
        tuple([(lane, least) for lane, least in enumerate(lanes_of(order.quantities)) if least]),
    )
