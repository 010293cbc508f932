"""What one event moves on each account, to the unit. Pure.

The same arithmetic as the fold (`indexer.projections`), which needs the whole history; here a row of the mirror is
enough: the terms of the event's lease, and what a close paid beyond the vouchers.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from protocol.events import (
    Deposited,
    DisputeLapsed,
    LeaseClosed,
    LeaseDisputed,
    LeaseOpened,
    LeaseRuled,
    LedgerEvent,
    VoucherRedeemed,
    Withdrawn,
)
from protocol.hashing import ZERO_ADDRESS, Address

#: events that move money; no other does
MOVING: Final = tuple(
    kind.__name__
    for kind in (
        Deposited,
        Withdrawn,
        LeaseOpened,
        VoucherRedeemed,
        LeaseDisputed,
        LeaseRuled,
        DisputeLapsed,
        LeaseClosed,
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Of the lease that an event speaks of."""

    buyer: Address
    provider: Address
    #: base units, of the provider
    bond_base: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Base units; negative where money left."""

    free: int = 0
    locked: int = 0
    bonded: int = 0

    def __add__(self, other: "Change") -> "Change":
        return Change(free=self.free + other.free, locked=self.locked + other.locked, bonded=self.bonded + other.bonded)

    def __bool__(self) -> bool:
        return bool(self.free or self.locked or self.bonded)


def changes(event: LedgerEvent, terms: Terms | None, gained: int) -> dict[Address, Change]:
    """By account, none that is zero. `gained`: base units that a close paid to the provider beyond the vouchers.

    `terms` may be None only for events that speak of no lease.
    """
    moved: dict[Address, Change] = defaultdict(Change)
    for account, change in _steps(event, terms, gained):
        moved[account] += change
    return {account: change for account, change in moved.items() if change}


def _steps(event: LedgerEvent, terms: Terms | None, gained: int) -> list[tuple[Address, Change]]:
    match event:
        case Deposited():
            return [(event.account, Change(free=event.amount))]
        case Withdrawn():
            return [(event.account, Change(free=-event.amount))]
        case LeaseOpened():
            return [
                (event.buyer, Change(free=-event.locked - event.fee, locked=event.locked)),
                (event.opener, Change(free=event.fee)),
                (event.provider, Change(free=-event.bond, bonded=event.bond)),
            ]
        case LeaseDisputed():
            return [(event.challenger, Change(free=-event.bond, bonded=event.bond))]
        case DisputeLapsed():
            return [(event.challenger, Change(free=event.bond, bonded=-event.bond))]
    if terms is None:
        return []
    match event:
        case VoucherRedeemed():
            return [(terms.buyer, Change(locked=-event.amount)), (event.provider, Change(free=event.amount))]
        case LeaseRuled():
            return _ruled(event, terms)
        case LeaseClosed():
            return [
                (terms.buyer, Change(free=event.refunded + event.penalty, locked=-event.refunded - gained)),
                (terms.provider, Change(free=gained + event.returned, bonded=-terms.bond_base)),
            ]
    return []


def _ruled(event: LeaseRuled, terms: Terms) -> list[tuple[Address, Change]]:
    """What becomes of the challenger's bond; the close that follows does the rest."""
    steps = [(event.arbiter, Change(free=event.to_jurors))]
    if event.challenger != ZERO_ADDRESS:
        steps.append((event.challenger, Change(free=event.returned, bonded=-terms.bond_base)))
    if event.provider_wins:
        steps.append((terms.provider, Change(free=event.to_winner)))
    return steps
