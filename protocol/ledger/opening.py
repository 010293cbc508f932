"""Opening leases: every term of every match is checked again (SPEC "Open").

The checks run in the order that SPEC gives, and the first that fails is the item's reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from protocol.events import Auction, DelegateCharged, LeaseOpened, LeaseState, Skip, Skipped
from protocol.fit import ZONE_BIT, mismatch
from protocol.hashing import ZERO_ADDRESS, ZERO_HASH, Address
from protocol.ids import lease_id
from protocol.ledger.signing import accepted_by_wallet, signed_by, signer_of
from protocol.ledger.state import Call, Done, Lease, Ledger, whole_call
from protocol.messages import digest
from protocol.terms import Offer, Order
from protocol.units import lock_up


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOffer:
    """An offer with its provider's signature."""

    offer: Offer
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """An order with the offer that it is matched to; no authority by itself."""

    order: Order
    #: the buyer's, a delegate's, or the buyer's contract's; not read for a later fill
    signature: bytes
    #: which lease of the order
    fill: int
    #: index into the offers of the call
    offer: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Book:
    """The offers of a call, each verified once."""

    offers: list[Offer]
    digests: list[bytes]
    #: why no match with the offer can open, or NONE
    faults: list[Skip]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opening:
    """A match whose terms hold."""

    lease: bytes
    order_digest: bytes
    offer_digest: bytes
    #: base units to lock from the buyer
    locked: int
    #: the delegate that signed, or zero
    key: Address
    #: base units that it is charged
    charge: int


class _Passed(Exception):
    """The item is passed over for this reason."""

    def __init__(self, skip: Skip) -> None:
        super().__init__(skip.name)
        self.skip = skip


def _need(holds: bool, skip: Skip) -> None:
    if not holds:
        raise _Passed(skip)


@whole_call
def open_leases(
    ledger: Ledger, call: Call, offers: Sequence[SignedOffer], matches: Sequence[Match], book_root: bytes = ZERO_HASH
) -> Done:
    """Opens a lease for each match whose terms hold; the others are passed over and change nothing."""
    book = _verify_offers(ledger, call, offers)
    if book_root != ZERO_HASH:
        ledger.events.append(Auction(call.caller, book_root))
    skips = []
    for match in matches:
        order_digest = digest(ledger.domain, match.order)
        lease = lease_id(order_digest, match.fill)
        try:
            opening = _check(ledger, call, book, match, lease, order_digest)
        except _Passed as passed:
            ledger.events.append(Skipped(lease, passed.skip))
            skips.append(passed.skip)
        else:
            _apply(ledger, call, book.offers[match.offer], match, opening)
            skips.append(Skip.NONE)
    return Done(skips.count(Skip.NONE), tuple(skips))


def _verify_offers(ledger: Ledger, call: Call, offers: Sequence[SignedOffer]) -> _Book:
    digests = [digest(ledger.domain, item.offer) for item in offers]
    faults = [_offer_fault(ledger, call, item, hashed) for item, hashed in zip(offers, digests, strict=True)]
    return _Book(offers=[item.offer for item in offers], digests=digests, faults=faults)


def _offer_fault(ledger: Ledger, call: Call, item: SignedOffer, offer_digest: bytes) -> Skip:
    offer = item.offer
    if call.time >= offer.expiry:
        return Skip.OFFER_EXPIRED
    if offer.epoch != ledger.accounts[offer.provider].epoch:
        return Skip.OFFER_EPOCH
    if (offer.provider, offer_digest) in ledger.cancelled:
        return Skip.OFFER_CANCELLED
    signed = signed_by(ledger.wallets, offer.provider, offer_digest, item.signature)
    return Skip.NONE if signed else Skip.OFFER_SIGNATURE


def _check(ledger: Ledger, call: Call, book: _Book, match: Match, lease: bytes, order_digest: bytes) -> _Opening:
    """Raises `_Passed`; changes nothing."""
    # First, so that a match that is sent again is never mistaken for one that was refused.
    _need(lease not in ledger.leases, Skip.ALREADY_OPEN)
    _need(match.offer < len(book.offers), Skip.UNKNOWN_OFFER)
    _need(book.faults[match.offer] is Skip.NONE, book.faults[match.offer])
    offer, order, fill = book.offers[match.offer], match.order, match.fill

    reason = mismatch(offer, order, ledger.min_notice)
    _need(reason is Skip.NONE, reason)
    _need(fill < order.max_leases, Skip.FILL_OUT_OF_RANGE)
    _need(_may_open(call, order), Skip.MATCHER)

    buyer = ledger.accounts[order.buyer]
    _need(call.time < order.expiry, Skip.ORDER_EXPIRED)
    _need(order.epoch == buyer.epoch, Skip.ORDER_EPOCH)
    _need(not buyer.guarded, Skip.BUYER_GUARDED)
    _need((order.buyer, order_digest) not in ledger.cancelled, Skip.ORDER_CANCELLED)

    key, charge = ZERO_ADDRESS, 0
    if fill < order.replicas:
        key, charge = _check_signature(ledger, call, match, order_digest)
    else:
        # No signature is needed: the predecessor's id holds the order's digest, so its signature was checked.
        _check_predecessor(ledger, call, order, order_digest, fill)
    if order.distinct_zones:
        _need(not _zone_is_taken(ledger, order, order_digest, fill, offer.zone), Skip.ZONE_TAKEN)
    if order.attested != 0:
        _need(_is_attested(ledger, call, offer, order), Skip.ATTESTATION)

    left = order.budget - _used(ledger, order, order_digest, fill)
    locked = min(lock_up(offer.rate, order.quantity), left)
    _need(locked > 0, Skip.NOTHING_TO_LOCK)
    _need(order.min_charge <= locked, Skip.MIN_CHARGE)
    cost = locked + order.fee
    _need(cost <= buyer.free, Skip.BUYER_FUNDS)
    provider = ledger.accounts[offer.provider]
    # One account on both sides needs the money twice.
    spoken_for = cost if offer.provider == order.buyer else 0
    _need(order.bond + spoken_for <= provider.free, Skip.PROVIDER_FUNDS)
    _need(provider.open_leases < offer.capacity, Skip.CAPACITY)
    return _Opening(
        lease=lease,
        order_digest=order_digest,
        offer_digest=book.digests[match.offer],
        locked=locked,
        key=key,
        charge=charge,
    )


def _may_open(call: Call, order: Order) -> bool:
    """Only matcher and deputy before `matcher_until`, anyone after it; anyone at any time if no matcher is named."""
    by_name = call.caller in (order.matcher, order.deputy)
    return order.matcher == ZERO_ADDRESS or by_name or call.time >= order.matcher_until


def _check_signature(ledger: Ledger, call: Call, match: Match, order_digest: bytes) -> tuple[Address, int]:
    """The buyer's key, then a live delegate, then the buyer's contract. Returns (delegate or zero, its charge)."""
    order = match.order
    signer = signer_of(order_digest, match.signature)
    if signer not in (order.buyer, ZERO_ADDRESS):
        delegate = ledger.delegates.get((order.buyer, signer))
        if delegate is not None and call.time < delegate.until:
            charge = _lane_cost(order, match.fill)
            _need(charge <= delegate.remaining, Skip.DELEGATE_CAP)
            return signer, charge
    signed = signer == order.buyer != ZERO_ADDRESS or accepted_by_wallet(
        ledger.wallets, order.buyer, order_digest, match.signature
    )
    _need(signed, Skip.ORDER_SIGNATURE)
    return ZERO_ADDRESS, 0


def _lane_cost(order: Order, fill: int) -> int:
    """Base units that the fill's lane can cost at most: its budget, and a fee for each of its fills."""
    return order.budget + order.fee * len(range(fill % order.replicas, order.max_leases, order.replicas))


def _check_predecessor(ledger: Ledger, call: Call, order: Order, order_digest: bytes, fill: int) -> None:
    """The fill before in its lane has ended without the lane being done."""
    predecessor = ledger.leases.get(lease_id(order_digest, fill - order.replicas))
    if predecessor is None:
        raise _Passed(Skip.NO_PREDECESSOR)
    _need(predecessor.state_at(call.time) is not LeaseState.OPEN, Skip.PREDECESSOR_OPEN)
    _need(not predecessor.is_done(call.time), Skip.LANE_DONE)


def _zone_is_taken(ledger: Ledger, order: Order, order_digest: bytes, fill: int, zone: int) -> bool:
    """By any fill of the order that is not Closed, or by the fill's predecessor even then."""
    for other in range(order.max_leases):
        lease = ledger.leases.get(lease_id(order_digest, other))
        if lease is not None and lease.zone == zone:
            counts = lease.state is not LeaseState.CLOSED or other == fill - order.replicas
            if counts:
                return True
    return False


def _is_attested(ledger: Ledger, call: Call, offer: Offer, order: Order) -> bool:
    """The auditor's word covers the traits, and the zone if asked, until the lease's duration ends."""
    zone = offer.zone if order.attested & ZONE_BIT else 0
    traits = order.attested & ~ZONE_BIT
    until = call.time + order.duration
    return ledger.registry.is_attested(order.auditor, offer.provider, traits, zone, until)


def _used(ledger: Ledger, order: Order, order_digest: bytes, fill: int) -> int:
    """Base units of the lane's budget that its earlier fills took: paid if Closed, else locked."""
    earlier = (
        ledger.leases[lease_id(order_digest, other)] for other in range(fill % order.replicas, fill, order.replicas)
    )
    return sum(lease.paid if lease.state is LeaseState.CLOSED else lease.locked for lease in earlier)


def _apply(ledger: Ledger, call: Call, offer: Offer, match: Match, opening: _Opening) -> None:
    """The money moves and the lease is written; cannot fail."""
    order = match.order
    if opening.key != ZERO_ADDRESS:
        delegate = ledger.delegates[order.buyer, opening.key]
        delegate.remaining -= opening.charge
        ledger.events.append(
            DelegateCharged(order.buyer, opening.key, opening.order_digest, opening.charge, delegate.remaining)
        )
    ledger.accounts[order.buyer].free -= opening.locked + order.fee
    ledger.accounts[call.caller].free += order.fee
    provider = ledger.accounts[offer.provider]
    provider.free -= order.bond
    provider.bonded += order.bond
    provider.open_leases += 1
    lease = Lease(
        provider=offer.provider,
        locked=opening.locked,
        voucher_signer=order.voucher_signer,
        deadline=call.time + order.duration,
        rate=offer.rate,
        zone=offer.zone,
    )
    ledger.leases[opening.lease] = lease
    ledger.events.append(
        LeaseOpened(
            lease=opening.lease,
            buyer=order.buyer,
            provider=offer.provider,
            order=opening.order_digest,
            offer=opening.offer_digest,
            job=order.job,
            voucher_signer=order.voucher_signer,
            opener=call.caller,
            fill=match.fill,
            meter=offer.meter,
            zone=offer.zone,
            rate=offer.rate,
            locked=opening.locked,
            bond=order.bond,
            fee=order.fee,
            deadline=lease.deadline,
            notice=order.notice,
        )
    )
