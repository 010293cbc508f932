"""What an auction decides about, and what it decides. An offer and an order are here as they are in the snapshot."""

from dataclasses import dataclass

from protocol.hashing import Address
from protocol.terms import Offer, Order


@dataclass(frozen=True, slots=True, kw_only=True)
class BookOffer:
    """A live offer in the book."""

    digest: bytes
    offer: Offer
    signature: bytes
    #: leases that its provider serves now
    open_leases: int

    @property
    def room(self) -> int:
        """Leases that its provider can still open by it."""
        return max(0, self.offer.capacity - self.open_leases)


@dataclass(frozen=True, slots=True, kw_only=True)
class BookOrder:
    """An order that waits for leases."""

    digest: bytes
    order: Order
    #: the fills to open now, all or none: each replica's first, or one that is re-let
    fills: tuple[int, ...]
    #: unix milliseconds
    arrived: int
    #: providers of earlier fills: they come after all others
    tried: frozenset[Address] = frozenset()
    #: providers that serve the order's other replicas now, or were found faulty in it: they never get another one
    serving: frozenset[Address] = frozenset()
    #: zones that the ledger would refuse, where the order asks for distinct ones
    held_zones: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """One fill of an order with the offer that the rule gives it."""

    order: BookOrder
    fill: int
    offer: BookOffer
