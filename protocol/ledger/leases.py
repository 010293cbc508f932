"""The fast path: vouchers pay, closes start a notice, `last` vouchers and deadlines end (SPEC "Leases", "Vouchers")."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from protocol.events import (
    EndReason,
    LeaseAcknowledged,
    LeaseClosed,
    LeaseClosing,
    LeaseState,
    Skip,
    Skipped,
    VoucherRedeemed,
)
from protocol.hashing import Address
from protocol.ids import lease_id
from protocol.ledger.signing import SignedVoucher, signed_by, signed_voucher, voucher_digest
from protocol.ledger.state import Call, Done, Lease, Ledger, LedgerError, Refusal, require, whole_call
from protocol.messages import digest
from protocol.terms import Order

_BY_BUYER_SIDE: Final = (EndReason.UNRESPONSIVE, EndReason.FAULTY)
"""Reasons that matcher and deputy may give too; Cancelled is for the order's owners alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastVoucher:
    """A lease to end with its `last` voucher."""

    order: Order
    fill: int
    voucher: SignedVoucher
    #: the provider's signature of the same digest; empty if it sends the voucher itself or has not signed
    provider_signature: bytes = b""


def find(ledger: Ledger, order: Order, fill: int) -> tuple[bytes, Lease]:
    """The lease of an order's fill; its id proves the order."""
    key = lease_id(digest(ledger.domain, order), fill)
    if key not in ledger.leases:
        raise Refusal(LedgerError.WRONG_ORDER)
    return key, ledger.leases[key]


def is_owner(order: Order, who: Address) -> bool:
    """The buyer itself, or the key that pays for it."""
    return who in (order.buyer, order.voucher_signer)


@whole_call
def redeem(ledger: Ledger, call: Call, vouchers: Sequence[SignedVoucher]) -> Done:
    """Pays min(cumulative, locked) − paid for each voucher, in every state but Closed; never ends a lease."""
    skips = []
    for voucher in vouchers:
        skip, amount = _check_voucher(ledger, voucher)
        if skip is Skip.NONE and amount == 0:
            skip = Skip.VOUCHER_STALE
        if skip is Skip.NONE:
            _pay(ledger, voucher, amount)
        else:
            ledger.events.append(Skipped(voucher.lease, skip))
        skips.append(skip)
    return Done(skips.count(Skip.NONE), tuple(skips))


def _check_voucher(ledger: Ledger, voucher: SignedVoucher) -> tuple[Skip, int]:
    """Why the lease does not take the voucher, or NONE and what it adds, maybe 0 base units."""
    lease = ledger.leases.get(voucher.lease)
    if lease is None:
        return Skip.UNKNOWN_LEASE, 0
    if lease.state is LeaseState.CLOSED:
        return Skip.LEASE_CLOSED, 0
    if not signed_voucher(lease.voucher_signer, voucher_digest(ledger, voucher, lease.provider), voucher):
        return Skip.VOUCHER_SIGNATURE, 0
    return Skip.NONE, lease.due(voucher.cumulative)


def _pay(ledger: Ledger, voucher: SignedVoucher, amount: int) -> None:
    lease = ledger.leases[voucher.lease]
    lease.paid += amount
    ledger.accounts[lease.provider].free += amount
    ledger.events.append(
        VoucherRedeemed(voucher.lease, lease.provider, amount, lease.paid, voucher.result, voucher.last)
    )


@whole_call
def close(ledger: Ledger, call: Call, order: Order, fill: int, reason: EndReason) -> None:
    """The buyer's side ends an Open lease, and its notice starts. Past its duration there is nothing to end."""
    key, lease = find(ledger, order, fill)
    owner = is_owner(order, call.caller)
    require(owner or call.caller in (order.matcher, order.deputy), LedgerError.NOT_BUYER_SIDE)
    may_cancel = reason is EndReason.CANCELLED and owner
    require(reason in _BY_BUYER_SIDE or may_cancel, LedgerError.REASON_NOT_ALLOWED)
    require(lease.state_at(call.time) is LeaseState.OPEN, LedgerError.WRONG_STATE)
    lease.early = True
    _start_notice(ledger, call, key, order, reason, done=reason is EndReason.CANCELLED)


@whole_call
def resign(ledger: Ledger, call: Call, order: Order, fill: int) -> None:
    """The provider leaves an Open lease honestly, and its notice starts."""
    key, lease = find(ledger, order, fill)
    require(call.caller == lease.provider, LedgerError.NOT_PROVIDER)
    require(lease.state_at(call.time) is LeaseState.OPEN, LedgerError.WRONG_STATE)
    _start_notice(ledger, call, key, order, EndReason.RESIGNED, done=False)


def _start_notice(ledger: Ledger, call: Call, key: bytes, order: Order, reason: EndReason, *, done: bool) -> None:
    """The first close fixes reason and deadline."""
    lease = ledger.leases[key]
    lease.state, lease.reason, lease.done = LeaseState.CLOSING, reason, done
    lease.deadline = call.time + order.notice
    ledger.events.append(LeaseClosing(key, call.caller, reason, lease.deadline, done))


@whole_call
def acknowledge(ledger: Ledger, call: Call, key: bytes) -> None:
    """The provider answers a close before its deadline: it is there. A lease ended by time alone needs no answer."""
    lease = ledger.leases.get(key)
    if lease is None or call.caller != lease.provider:
        raise Refusal(LedgerError.NOT_PROVIDER)
    require(lease.state is LeaseState.CLOSING, LedgerError.WRONG_STATE)
    require(call.time < lease.deadline, LedgerError.DEADLINE_PASSED)
    lease.responded = True
    ledger.events.append(LeaseAcknowledged(key, call.caller))


@whole_call
def close_last(ledger: Ledger, call: Call, items: Sequence[LastVoucher]) -> Done:
    """Pays `last` vouchers. By both sides' word a lease ends at once; by one side's an Open one gets its notice."""
    skips, closed = [], 0
    for item in items:
        key = item.voucher.lease
        skip, amount, agreed = _check_last(ledger, call, item)
        skips.append(skip)
        if skip is not Skip.NONE:
            ledger.events.append(Skipped(key, skip))
            continue
        if amount > 0:
            _pay(ledger, item.voucher, amount)
        lease = ledger.leases[key]
        if agreed:
            _end_agreed(ledger, call, key, item.order)
            closed += 1
        elif lease.state_at(call.time) is LeaseState.OPEN:
            lease.early = True
            _start_notice(ledger, call, key, item.order, EndReason.COMPLETED, done=True)
    return Done(closed, tuple(skips))


def _check_last(ledger: Ledger, call: Call, item: LastVoucher) -> tuple[Skip, int, bool]:
    """(why passed over, base units added, whether both sides end the lease now)."""
    voucher = item.voucher
    if not voucher.last:
        return Skip.NOT_LAST, 0, False
    skip, amount = _check_voucher(ledger, voucher)
    if skip is not Skip.NONE:
        return skip, 0, False
    if lease_id(digest(ledger.domain, item.order), item.fill) != voucher.lease:
        return Skip.WRONG_ORDER, 0, False
    lease = ledger.leases[voucher.lease]
    agreed = call.caller == lease.provider
    if not agreed and item.provider_signature:
        agreed = signed_by(
            ledger.wallets, lease.provider, voucher_digest(ledger, voucher, lease.provider), item.provider_signature
        )
        # Who sends a signature expects the lease to end: a bad one is not taken for none.
        if not agreed:
            return Skip.VOUCHER_SIGNATURE, 0, False
    # A dispute goes on, whatever the two say.
    ends = agreed and lease.state is not LeaseState.DISPUTED
    if not ends and amount == 0 and lease.state_at(call.time) is not LeaseState.OPEN:
        return Skip.VOUCHER_STALE, 0, False
    return Skip.NONE, amount, ends


def _end_agreed(ledger: Ledger, call: Call, key: bytes, order: Order) -> None:
    """Both sides said that this is all: no minimum charge, no penalty; an earlier close keeps its reason."""
    lease = ledger.leases[key]
    lease.expire(call.time)
    if lease.reason in (EndReason.NONE, EndReason.CLAIMED):
        lease.reason = EndReason.COMPLETED
    lease.done = True
    finish(ledger, key, order, extra=0)


def settle_minimum(lease: Lease, order: Order, extra: int) -> tuple[int, int]:
    """SPEC "Minimum charge": (extra for the provider, penalty of its bond for the buyer) in base units.

    Due when the buyer's side ended the lease before its duration: at least the minimum charge for a provider that was
    there, a penalty of as much for one that was called unresponsive and did not answer.
    """
    if not lease.early:
        return extra, 0
    if lease.reason is EndReason.UNRESPONSIVE and not lease.responded:
        return extra, order.min_charge
    return max(extra, order.min_charge - lease.paid), 0


def finish(ledger: Ledger, key: bytes, order: Order, *, extra: int, penalty: int = 0, to_jurors: int = 0) -> None:
    """Ends a lease for ever, with the reason and `done` that it has.

    `extra` base units more of the lock go to the provider and the rest back to the buyer; of the provider's bond
    `penalty` goes to the buyer, `to_jurors` has gone to the arbiter, and the rest is free again.
    """
    lease = ledger.leases[key]
    lease.paid += extra
    lease.state, lease.early, lease.responded = LeaseState.CLOSED, False, False
    refunded = lease.locked - lease.paid
    returned = order.bond - penalty - to_jurors
    provider = ledger.accounts[lease.provider]
    provider.free += extra + returned
    provider.bonded -= order.bond
    provider.open_leases -= 1
    ledger.accounts[order.buyer].free += refunded + penalty
    ledger.events.append(
        LeaseClosed(
            lease=key,
            buyer=order.buyer,
            provider=lease.provider,
            reason=lease.reason,
            paid=lease.paid,
            refunded=refunded,
            penalty=penalty,
            returned=returned,
            done=lease.done,
        )
    )
