"""The fold: ledger events → balances, leases, delegates, payments. Pure; it moves money exactly as the contract does.

A `Book` holds the rows that it was given or that it made. It never guesses: an event that does not fit what came before
is `BadEvent`, because then either the history or this fold is wrong.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, Protocol

from indexer.decoder import LogFact
from indexer.facts import CancelledFact, DisputeFact, EventFact, LeaseFact, PartyFact, PaymentFact
from protocol.events import (
    EVENTS,
    Auction,
    BadEvent,
    BeneficiarySet,
    ClaimCommitted,
    DelegateApproved,
    DelegateCharged,
    Deposited,
    DisputeLapsed,
    EndReason,
    EpochBumped,
    LeaseAcknowledged,
    LeaseClaimed,
    LeaseClosed,
    LeaseClosing,
    LeaseDisputed,
    LeaseOpened,
    LeaseRuled,
    LeaseState,
    LedgerEvent,
    MessageCancelled,
    Skipped,
    VoucherRedeemed,
    Withdrawn,
)
from protocol.hashing import ZERO_HASH, Address

NOBODY = bytes(20)
#: kind → its fields that name accounts; a voucher signer is a key, which owns nothing
_ACCOUNTS = {
    kind: [name for name, solidity in kind.TYPES.items() if solidity == "address" and name != "voucher_signer"]
    for kind in EVENTS
}

Key = tuple[bytes, ...]
LeaseEvent = (
    LeaseOpened
    | VoucherRedeemed
    | LeaseClosing
    | LeaseAcknowledged
    | ClaimCommitted
    | LeaseClaimed
    | LeaseDisputed
    | LeaseRuled
    | DisputeLapsed
    | LeaseClosed
)


class Account(NamedTuple):
    """Base units."""

    account: bytes
    free_base: int = 0
    #: as a buyer: Σ (locked − paid) of leases that are not Closed
    locked_base: int = 0
    bonded_base: int = 0
    open_leases: int = 0
    epoch: int = 0
    #: a beneficiary is set
    guarded: bool = False
    #: who alone withdraws; zero = the account itself
    beneficiary: bytes = NOBODY


class Delegate(NamedTuple):
    """What a key may still commit of its buyer's."""

    buyer: bytes
    key: bytes
    remaining_base: int
    #: unix seconds
    until_time: int


class Lease(NamedTuple):
    """What changes of a lease, with both sides and the lock to check it by."""

    lease: bytes
    buyer: bytes
    provider: bytes
    locked_base: int
    #: of the provider
    bond_base: int
    paid_base: int
    refunded_base: int
    #: unix seconds; of the duration while OPEN, the notice while CLOSING, the window while CLAIMED …
    deadline_time: int
    state: LeaseState
    reason: EndReason
    done: bool
    #: ended by the buyer's side before its duration
    early: bool
    #: the provider acknowledged or claimed
    responded: bool
    #: of the bond, to the buyer
    penalty_base: int
    closed_block: int | None
    closed_tx: bytes | None


class Claim(NamedTuple):
    """What a provider asks for a lease; a commitment to it at first where `reveal_time` is not 0."""

    lease: bytes
    result: bytes
    start: bytes = ZERO_HASH
    #: raw, cumulative
    work: int = 0
    target_base: int = 0
    #: unix seconds
    reveal_time: int = 0
    last: bool = False


class Rows(Protocol):
    """Where a book finds what it did not make itself."""

    def account(self, account: bytes) -> Account | None: ...
    def delegate(self, buyer: bytes, key: bytes) -> Delegate | None: ...
    def lease(self, lease: bytes) -> Lease | None: ...


class NoRows:
    """Before the first event."""

    def account(self, account: bytes) -> Account | None:
        return None

    def delegate(self, buyer: bytes, key: bytes) -> Delegate | None:
        return None

    def lease(self, lease: bytes) -> Lease | None:
        return None


@dataclass(slots=True)
class Changes:
    """What one block changed. Versions by key with the seq of their last event; the others are rows to add."""

    accounts: dict[Key, tuple[Account, int]] = field(default_factory=dict)
    delegates: dict[Key, tuple[Delegate, int]] = field(default_factory=dict)
    leases: dict[Key, tuple[Lease, int]] = field(default_factory=dict)
    claims: dict[Key, tuple[Claim, int]] = field(default_factory=dict)
    events: list[EventFact] = field(default_factory=list)
    parties: list[PartyFact] = field(default_factory=list)
    opened: list[LeaseFact] = field(default_factory=list)
    payments: list[PaymentFact] = field(default_factory=list)
    cancelled: list[CancelledFact] = field(default_factory=list)
    disputes: list[DisputeFact] = field(default_factory=list)


@lru_cache(maxsize=1 << 16)
def raw(address: Address) -> bytes:
    """20 bytes; the same accounts come again and again."""
    return bytes.fromhex(address[2:])


class Book:
    """Applies events in order; `take` hands out what they changed."""

    def __init__(self, rows: Rows, event_count: int) -> None:
        self._rows = rows
        self._accounts: dict[bytes, Account | None] = {}
        self._delegates: dict[Key, Delegate | None] = {}
        self._leases: dict[bytes, Lease | None] = {}
        self._changes = Changes()
        #: events so far, Skipped ones included: the seq of the newest
        self.event_count = event_count

    def take(self) -> Changes:
        """What changed since the last take."""
        changes, self._changes = self._changes, Changes()
        return changes

    def apply(self, event: LedgerEvent, at: LogFact) -> None:
        """Folds in the next event. Raises `BadEvent`."""
        self.event_count += 1
        lease = getattr(event, "lease", None) if not isinstance(event, Skipped) else event.id
        parties = {raw(getattr(event, name)) for name in _ACCOUNTS[type(event)]}
        self._fold(event, at)
        known = self._lease(lease) if lease is not None else None
        if known is not None:
            parties.add(known.buyer)
            parties.add(known.provider)
        self._changes.events.append(
            EventFact(
                at.block_number,
                at.log_index,
                at.block_hash,
                at.tx_index,
                at.position,
                self.event_count,
                type(event).__name__,
                lease,
                at.topics,
                at.data,
                True,
            )
        )
        self._changes.parties += [PartyFact(self.event_count, party) for party in sorted(parties)]

    def _fold(self, event: LedgerEvent, at: LogFact) -> None:
        match event:
            case Deposited():
                self._move(event.account, free=event.amount)
            case Withdrawn():
                self._move(event.account, free=-event.amount)
            case BeneficiarySet():
                row, beneficiary = self._account(raw(event.account)), raw(event.beneficiary)
                self._put_account(row._replace(guarded=beneficiary != NOBODY, beneficiary=beneficiary))
            case DelegateApproved():
                self._set_delegate(event.buyer, event.key, event.cap, event.until)
            case DelegateCharged():
                self._charge(event)
            case MessageCancelled():
                self._cancel(event, at)
            case EpochBumped():
                self._put_account(self._account(raw(event.account))._replace(epoch=event.epoch))
            case Auction() | Skipped():
                pass
            case _:
                self._fold_lease(event, at)

    def _fold_lease(self, event: LeaseEvent, at: LogFact) -> None:
        match event:
            case LeaseOpened():
                self._open(event, at)
            case VoucherRedeemed():
                self._redeem(event, at)
            case LeaseClosing() | LeaseAcknowledged():
                self._end(event)
            case ClaimCommitted() | LeaseClaimed():
                self._claim(event, at)
            case LeaseDisputed():
                self._dispute(event, at)
            case LeaseRuled() | DisputeLapsed():
                self._decide(event)
            case LeaseClosed():
                self._close(event, at)

    def _open(self, event: LeaseOpened, at: LogFact) -> None:
        if self._lease(event.lease) is not None:
            raise BadEvent(f"lease 0x{event.lease.hex()} is opened twice")
        buyer, provider = raw(event.buyer), raw(event.provider)
        self._move(event.buyer, free=-event.locked - event.fee, locked=event.locked)
        self._move(event.opener, free=event.fee)
        self._move(event.provider, free=-event.bond, bonded=event.bond, leases=1)
        self._put_lease(
            Lease(
                lease=event.lease,
                buyer=buyer,
                provider=provider,
                locked_base=event.locked,
                bond_base=event.bond,
                paid_base=0,
                refunded_base=0,
                deadline_time=event.deadline,
                state=LeaseState.OPEN,
                reason=EndReason.NONE,
                done=False,
                early=False,
                responded=False,
                penalty_base=0,
                closed_block=None,
                closed_tx=None,
            )
        )
        self._changes.opened.append(
            LeaseFact(
                lease=event.lease,
                buyer=buyer,
                provider=provider,
                order_digest=event.order,
                offer_digest=event.offer,
                job=event.job,
                voucher_signer=raw(event.voucher_signer),
                opener=raw(event.opener),
                fill=event.fill,
                meter=event.meter,
                zone=event.zone,
                rate=event.rate,
                locked_base=event.locked,
                bond_base=event.bond,
                fee_base=event.fee,
                notice_seconds=event.notice,
                opened_block=at.block_number,
                opened_log_index=at.log_index,
                opened_tx=at.tx_hash,
                opened_time=at.block_time,
            )
        )

    def _redeem(self, event: VoucherRedeemed, at: LogFact) -> None:
        lease = self._running(event.lease)
        if event.paid != lease.paid_base + event.amount or event.paid > lease.locked_base:
            raise BadEvent(f"lease 0x{event.lease.hex()}: {lease.paid_base} + {event.amount} is not {event.paid}")
        self._put_lease(lease._replace(paid_base=event.paid))
        self._move_raw(lease.buyer, locked=-event.amount)
        self._move(event.provider, free=event.amount)
        self._pay(lease, event.amount, event.paid, event.result, event.last, at)

    def _pay(self, lease: Lease, amount: int, paid: int, result: bytes, last: bool, at: LogFact) -> None:
        self._changes.payments.append(
            PaymentFact(
                seq=self.event_count,
                block_number=at.block_number,
                log_index=at.log_index,
                lease=lease.lease,
                provider=lease.provider,
                amount_base=amount,
                paid_base=paid,
                result=result,
                last=last,
                tx_hash=at.tx_hash,
                block_time=at.block_time,
            )
        )

    def _end(self, event: LeaseClosing | LeaseAcknowledged) -> None:
        """A first close starts the notice; an answer to it changes nothing but the flag."""
        if isinstance(event, LeaseAcknowledged):
            self._put_lease(self._require(event.lease, LeaseState.CLOSING)._replace(responded=True))
            return
        lease = self._require(event.lease, LeaseState.OPEN)
        self._put_lease(
            lease._replace(
                state=LeaseState.CLOSING,
                reason=event.reason,
                deadline_time=event.deadline,
                done=event.done,
                early=event.reason is not EndReason.RESIGNED,
            )
        )

    def _claim(self, event: ClaimCommitted | LeaseClaimed, at: LogFact) -> None:
        lease = self._require(event.lease, LeaseState.OPEN, LeaseState.CLOSING, LeaseState.CLAIMED)
        lease = self._ended(lease, at, EndReason.CLAIMED)
        if isinstance(event, LeaseClaimed):
            lease = lease._replace(responded=True, done=lease.done or event.last)
            claim = Claim(
                lease=event.lease,
                result=event.result,
                start=event.start,
                work=event.work,
                target_base=event.target,
                last=event.last,
            )
        else:
            claim = Claim(lease=event.lease, result=event.commitment, reveal_time=event.reveal_from)
        self._changes.claims[event.lease,] = (claim, self.event_count)
        self._put_lease(lease._replace(state=LeaseState.CLAIMED, deadline_time=event.deadline))

    def _dispute(self, event: LeaseDisputed, at: LogFact) -> None:
        lease = self._require(event.lease, LeaseState.OPEN, LeaseState.CLOSING, LeaseState.CLAIMED)
        lease = self._ended(lease, at, EndReason.FAULTY)
        if event.bond != lease.bond_base:
            raise BadEvent(f"lease 0x{event.lease.hex()}: a challenge of {event.bond} against {lease.bond_base}")
        self._move(event.challenger, free=-event.bond, bonded=event.bond)
        self._put_lease(lease._replace(state=LeaseState.DISPUTED, deadline_time=event.deadline))
        self._changes.disputes.append(
            DisputeFact(
                lease=event.lease,
                seq=self.event_count,
                block_number=at.block_number,
                log_index=at.log_index,
                challenger=raw(event.challenger),
                bond_base=event.bond,
                receipt=event.receipt,
            )
        )

    @staticmethod
    def _ended(lease: Lease, at: LogFact, reason: EndReason) -> Lease:
        """A lease that is still OPEN has ended by its duration, or ends now for `reason`."""
        if lease.state is not LeaseState.OPEN:
            return lease
        if at.block_time >= lease.deadline_time:
            return lease._replace(reason=EndReason.EXPIRED, done=True)
        return lease._replace(reason=reason, early=reason is EndReason.FAULTY)

    def _decide(self, event: LeaseRuled | DisputeLapsed) -> None:
        """What becomes of the challenger's bond; the close that follows does the rest."""
        lease = self._require(event.lease, LeaseState.CLAIMED, LeaseState.DISPUTED)
        if isinstance(event, DisputeLapsed):
            self._move(event.challenger, free=event.bond, bonded=-event.bond)
            return
        if raw(event.challenger) != NOBODY:
            self._move(event.challenger, free=event.returned, bonded=-lease.bond_base)
        if event.provider_wins:
            self._move_raw(lease.provider, free=event.to_winner)
        self._move(event.arbiter, free=event.to_jurors)

    def _close(self, event: LeaseClosed, at: LogFact) -> None:
        lease = self._running(event.lease)
        gained = event.paid - lease.paid_base
        if gained < 0 or event.paid + event.refunded != lease.locked_base:
            raise BadEvent(f"lease 0x{event.lease.hex()}: paid {event.paid} + refunded {event.refunded} do not fit")
        self._move_raw(lease.buyer, free=event.refunded + event.penalty, locked=-event.refunded - gained)
        self._move_raw(lease.provider, free=gained + event.returned, bonded=-lease.bond_base, leases=-1)
        if gained:
            # By a claim, a ruling or the minimum charge: no voucher, so no result of it.
            self._pay(lease, gained, event.paid, ZERO_HASH, False, at)
        self._put_lease(
            lease._replace(
                paid_base=event.paid,
                refunded_base=event.refunded,
                penalty_base=event.penalty,
                state=LeaseState.CLOSED,
                reason=event.reason,
                done=event.done,
                early=False,
                responded=False,
                closed_block=at.block_number,
                closed_tx=at.tx_hash,
            )
        )

    def _charge(self, event: DelegateCharged) -> None:
        buyer, key = raw(event.buyer), raw(event.key)
        found = self._delegate(buyer, key)
        if found is None or found.remaining_base - event.amount != event.remaining:
            raise BadEvent(f"delegate {event.key}: {event.remaining} do not remain after {event.amount}")
        self._set_delegate(event.buyer, event.key, event.remaining, found.until_time)

    def _set_delegate(self, buyer: Address, key: Address, remaining: int, until: int) -> None:
        row = Delegate(buyer=raw(buyer), key=raw(key), remaining_base=remaining, until_time=until)
        self._delegates[row.buyer, row.key] = row
        self._changes.delegates[row.buyer, row.key] = (row, self.event_count)

    def _cancel(self, event: MessageCancelled, at: LogFact) -> None:
        self._changes.cancelled.append(
            CancelledFact(
                seq=self.event_count,
                account=raw(event.account),
                digest=event.digest,
                block_number=at.block_number,
            )
        )

    def _move(self, address: Address, *, free: int = 0, locked: int = 0, bonded: int = 0, leases: int = 0) -> None:
        self._move_raw(raw(address), free=free, locked=locked, bonded=bonded, leases=leases)

    def _move_raw(self, account: bytes, *, free: int = 0, locked: int = 0, bonded: int = 0, leases: int = 0) -> None:
        _, has_free, has_locked, has_bonded, has_leases, epoch, guarded, beneficiary = self._account(account)
        after = Account(
            account,
            has_free + free,
            has_locked + locked,
            has_bonded + bonded,
            has_leases + leases,
            epoch,
            guarded,
            beneficiary,
        )
        if after.free_base < 0 or after.locked_base < 0 or after.bonded_base < 0 or after.open_leases < 0:
            raise BadEvent(f"account 0x{account.hex()} would go below zero")
        self._put_account(after)

    def _put_account(self, row: Account) -> None:
        self._accounts[row.account] = row
        self._changes.accounts[row.account,] = (row, self.event_count)

    def _put_lease(self, row: Lease) -> None:
        self._leases[row.lease] = row
        self._changes.leases[row.lease,] = (row, self.event_count)

    def _account(self, account: bytes) -> Account:
        accounts = self._accounts
        if account not in accounts:
            accounts[account] = self._rows.account(account)
        return accounts[account] or Account(account=account)

    def _lease(self, lease: bytes) -> Lease | None:
        leases = self._leases
        if lease not in leases:
            leases[lease] = self._rows.lease(lease)
        return leases[lease]

    def _delegate(self, buyer: bytes, key: bytes) -> Delegate | None:
        delegates = self._delegates
        if (buyer, key) not in delegates:
            delegates[buyer, key] = self._rows.delegate(buyer, key)
        return delegates[buyer, key]

    def _running(self, lease: bytes) -> Lease:
        return self._require(lease, *(state for state in LeaseState if state is not LeaseState.CLOSED))

    def _require(self, lease: bytes, *states: LeaseState) -> Lease:
        found = self._lease(lease)
        if found is None or found.state not in states:
            raise BadEvent(f"lease 0x{lease.hex()} is not in a state for this event")
        return found

    def accounts(self) -> list[Account]:
        """All that it holds now; all there are, if it folded from the first event."""
        return [row for row in self._accounts.values() if row is not None]

    def leases(self) -> list[Lease]:
        return [row for row in self._leases.values() if row is not None]

    def delegates(self) -> list[Delegate]:
        return [row for row in self._delegates.values() if row is not None]
