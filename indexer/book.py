"""The fold: ledger events → balances, leases, delegates, payments. Pure; it moves money exactly as the contract does.

A `Book` holds the rows that it was given or that it made. It never guesses: an event that does not fit what came before
is `BadEvent`, because then either the history or this fold is wrong.

Events come as their fields in order (`protocol.events.read_cells`), and each kind's method names them in that order.
"""

from collections.abc import Callable
from itertools import repeat
from typing import Any, Final

from indexer.decoded import EventAt
from indexer.facts import CancelledFact, DisputeFact, PaymentFact
from indexer.named import ACCOUNTS, SIDES
from indexer.projections import NOBODY, Account, Changes, Claim, Delegate, Lease, Rows
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
from protocol.hashing import ZERO_HASH
from protocol.proofs import Header

_RUNNING: Final = tuple(state for state in LeaseState if state is not LeaseState.CLOSED)
_UNTIL_CLAIMED: Final = (LeaseState.OPEN, LeaseState.CLOSING, LeaseState.CLAIMED)


class _Holding:
    """An account while it changes."""

    __slots__ = ("account", "beneficiary", "bonded", "epoch", "free", "leases", "locked", "seq")

    def __init__(self, row: Account) -> None:
        self.account = row.account
        self.free, self.locked, self.bonded = row.free_base, row.locked_base, row.bonded_base
        self.leases, self.epoch, self.beneficiary = row.open_leases, row.epoch, row.beneficiary
        #: of the newest event that changed it
        self.seq = 0

    def row(self) -> Account:
        return Account(
            self.account,
            self.free,
            self.locked,
            self.bonded,
            self.leases,
            self.epoch,
            self.beneficiary != NOBODY,
            self.beneficiary,
        )


class Book:
    """Applies events in order; `take` hands out what they changed."""

    def __init__(self, rows: Rows, event_count: int) -> None:
        #: where it finds what it does not hold; can be another for each step
        self.rows = rows
        self._holdings: dict[bytes, _Holding] = {}
        self._touched: dict[bytes, _Holding] = {}
        self._delegates: dict[tuple[bytes, bytes], Delegate | None] = {}
        self._leases: dict[bytes, Lease | None] = {}
        #: not used since `age` was called last
        self._old_holdings: dict[bytes, _Holding] = {}
        self._old_leases: dict[bytes, Lease | None] = {}
        self._changes = Changes()
        #: events so far, Skipped ones included: the seq of the newest
        self.event_count = event_count
        #: where the event at hand is
        self._block: Header
        self._tx_hash: bytes
        self._log_index: int

    def begin(self, block: Header) -> None:
        """The events that follow are of this block."""
        self._block = block

    def take(self) -> Changes:
        """What changed since the last take."""
        changes, self._changes = self._changes, Changes()
        changes.accounts = {account: (held.row(), held.seq) for account, held in self._touched.items()}
        self._touched = {}
        return changes

    def apply(self, event: EventAt) -> None:
        """Folds in the next event. Raises `BadEvent`."""
        self.event_count = seq = self.event_count + 1
        kind, cells, self._tx_hash, self._log_index = event
        fold, accounts, sides = _KINDS[kind]
        fold(self, *cells)
        parties = {*accounts(cells)}
        if sides:
            known = self._lease(cells[0])
            if known is not None:
                parties.add(known.buyer)
                parties.add(known.provider)
        self._changes.parties += zip(parties, repeat(seq))

    # --- accounts

    def _deposited(self, account: bytes, sender: bytes, amount: int) -> None:
        self._move(account, free=amount)

    def _withdrawn(self, account: bytes, to: bytes, amount: int) -> None:
        self._move(account, free=-amount)

    def _beneficiary_set(self, account: bytes, beneficiary: bytes) -> None:
        self._touch(account).beneficiary = beneficiary

    def _epoch_bumped(self, account: bytes, epoch: int) -> None:
        self._touch(account).epoch = epoch

    def _delegate_approved(self, buyer: bytes, key: bytes, cap: int, until: int) -> None:
        self._put_delegate(Delegate(buyer, key, cap, until))

    def _delegate_charged(self, buyer: bytes, key: bytes, order: bytes, amount: int, remaining: int) -> None:
        found = self._delegate(buyer, key)
        if found is None or found.remaining_base - amount != remaining:
            raise BadEvent(f"delegate 0x{key.hex()}: {remaining} do not remain after {amount}")
        self._put_delegate(Delegate(buyer, key, remaining, found.until_time))

    def _message_cancelled(self, account: bytes, digest: bytes) -> None:
        self._changes.cancelled.append(CancelledFact(self.event_count, account, digest, self._block.number))

    def _nothing(self, *cells: Any) -> None:
        """An auction or a skipped item moves no money."""

    # --- leases

    def _lease_opened(
        self,
        lease: bytes,
        buyer: bytes,
        provider: bytes,
        order: bytes,
        offer: bytes,
        job: bytes,
        voucher_signer: bytes,
        opener: bytes,
        fill: int,
        meter: int,
        zone: int,
        rate: int,
        locked: int,
        bond: int,
        fee: int,
        deadline: int,
        notice: int,
    ) -> None:
        if self._lease(lease) is not None:
            raise BadEvent(f"lease 0x{lease.hex()} is opened twice")
        self._move(buyer, -locked - fee, locked)
        self._move(opener, fee)
        self._move(provider, -bond, 0, bond, 1)
        self._put_lease(Lease(lease, buyer, provider, locked, bond, 0, 0, deadline))
        self._changes.begun.append(lease)

    def _voucher_redeemed(
        self, lease: bytes, provider: bytes, amount: int, paid: int, result: bytes, last: bool
    ) -> None:
        found = self._require(lease, _RUNNING)
        if paid != found.paid_base + amount or paid > found.locked_base:
            raise BadEvent(f"lease 0x{lease.hex()}: {found.paid_base} + {amount} is not {paid}")
        self._put_lease(found._replace(paid_base=paid))
        self._move(found.buyer, locked=-amount)
        self._move(provider, free=amount)
        self._pay(found, amount, paid, result, last)

    def _pay(self, lease: Lease, amount: int, paid: int, result: bytes, last: bool) -> None:
        self._changes.payments.append(
            PaymentFact(
                seq=self.event_count,
                block_number=self._block.number,
                log_index=self._log_index,
                lease=lease.lease,
                provider=lease.provider,
                amount_base=amount,
                paid_base=paid,
                result=result,
                last=last,
                tx_hash=self._tx_hash,
                block_time=self._block.time,
            )
        )

    def _lease_closing(self, lease: bytes, by: bytes, reason: int, deadline: int, done: bool) -> None:
        """A first close starts the notice."""
        found = self._require(lease, (LeaseState.OPEN,))
        self._put_lease(
            found._replace(
                state=LeaseState.CLOSING,
                reason=EndReason(reason),
                deadline_time=deadline,
                done=done,
                early=reason != EndReason.RESIGNED,
            )
        )

    def _lease_acknowledged(self, lease: bytes, provider: bytes) -> None:
        """An answer to a close changes nothing but the flag."""
        self._put_lease(self._require(lease, (LeaseState.CLOSING,))._replace(responded=True))

    def _claim_committed(
        self, lease: bytes, provider: bytes, commitment: bytes, reveal_from: int, deadline: int
    ) -> None:
        found = self._ended(self._require(lease, _UNTIL_CLAIMED), EndReason.CLAIMED)
        self._changes.claims[lease] = (
            Claim(lease=lease, result=commitment, reveal_time=reveal_from),
            self.event_count,
        )
        self._put_lease(found._replace(state=LeaseState.CLAIMED, deadline_time=deadline))

    def _lease_claimed(
        self,
        lease: bytes,
        provider: bytes,
        result: bytes,
        start: bytes,
        work: int,
        target: int,
        last: bool,
        deadline: int,
    ) -> None:
        found = self._ended(self._require(lease, _UNTIL_CLAIMED), EndReason.CLAIMED)
        self._changes.claims[lease] = (
            Claim(lease=lease, result=result, start=start, work=work, target_base=target, last=last),
            self.event_count,
        )
        self._put_lease(
            found._replace(state=LeaseState.CLAIMED, deadline_time=deadline, responded=True, done=found.done or last)
        )

    def _lease_disputed(self, lease: bytes, challenger: bytes, receipt: bytes, bond: int, deadline: int) -> None:
        found = self._ended(self._require(lease, _UNTIL_CLAIMED), EndReason.FAULTY)
        if bond != found.bond_base:
            raise BadEvent(f"lease 0x{lease.hex()}: a challenge of {bond} against {found.bond_base}")
        self._move(challenger, free=-bond, bonded=bond)
        self._put_lease(found._replace(state=LeaseState.DISPUTED, deadline_time=deadline))
        self._changes.disputes.append(
            DisputeFact(
                lease=lease,
                seq=self.event_count,
                block_number=self._block.number,
                log_index=self._log_index,
                challenger=challenger,
                bond_base=bond,
                receipt=receipt,
            )
        )

    def _ended(self, lease: Lease, reason: EndReason) -> Lease:
        """A lease that is still OPEN has ended by its duration, or ends now for `reason`."""
        if lease.state is not LeaseState.OPEN:
            return lease
        if self._block.time >= lease.deadline_time:
            return lease._replace(reason=EndReason.EXPIRED, done=True)
        return lease._replace(reason=reason, early=reason is EndReason.FAULTY)

    def _lease_ruled(
        self,
        lease: bytes,
        arbiter: bytes,
        challenger: bytes,
        provider_wins: bool,
        award: int,
        to_winner: int,
        to_jurors: int,
        returned: int,
    ) -> None:
        """What becomes of the challenger's bond; the close that follows does the rest."""
        found = self._require(lease, (LeaseState.CLAIMED, LeaseState.DISPUTED))
        if challenger != NOBODY:
            self._move(challenger, free=returned, bonded=-found.bond_base)
        if provider_wins:
            self._move(found.provider, free=to_winner)
        self._move(arbiter, free=to_jurors)

    def _dispute_lapsed(self, lease: bytes, challenger: bytes, bond: int) -> None:
        self._require(lease, (LeaseState.CLAIMED, LeaseState.DISPUTED))
        self._move(challenger, free=bond, bonded=-bond)

    def _lease_closed(
        self,
        lease: bytes,
        buyer: bytes,
        provider: bytes,
        reason: int,
        paid: int,
        refunded: int,
        penalty: int,
        returned: int,
        done: bool,
    ) -> None:
        found = self._require(lease, _RUNNING)
        gained = paid - found.paid_base
        if gained < 0 or paid + refunded != found.locked_base:
            raise BadEvent(f"lease 0x{lease.hex()}: paid {paid} + refunded {refunded} do not fit")
        self._move(found.buyer, free=refunded + penalty, locked=-refunded - gained)
        self._move(found.provider, free=gained + returned, bonded=-found.bond_base, leases=-1)
        if gained:
            # By a claim, a ruling or the minimum charge: no voucher, so no result of it.
            self._pay(found, gained, paid, ZERO_HASH, False)
        self._put_lease(
            found._replace(
                paid_base=paid,
                refunded_base=refunded,
                penalty_base=penalty,
                state=LeaseState.CLOSED,
                reason=EndReason(reason),
                done=done,
                early=False,
                responded=False,
                closed_block=self._block.number,
                closed_tx=self._tx_hash,
            )
        )

    # --- what is held

    def _move(self, account: bytes, free: int = 0, locked: int = 0, bonded: int = 0, leases: int = 0) -> None:
        held = self._touch(account)
        held.free = free = held.free + free
        if locked or bonded or leases:
            held.locked = locked = held.locked + locked
            held.bonded = bonded = held.bonded + bonded
            held.leases = leases = held.leases + leases
        if free < 0 or locked < 0 or bonded < 0 or leases < 0:
            raise BadEvent(f"account 0x{account.hex()} would go below zero")

    def _touch(self, account: bytes) -> _Holding:
        """The account, to be changed by the event at hand."""
        held = self._touched.get(account)
        if held is None:
            self._touched[account] = held = self._hold(account)
        held.seq = self.event_count
        return held

    def _hold(self, account: bytes) -> _Holding:
        held = self._holdings.get(account)
        if held is None:
            held = self._old_holdings.pop(account, None) or _Holding(self.rows.account(account) or Account(account))
            self._holdings[account] = held
        return held

    def _put_lease(self, row: Lease) -> None:
        lease = row[0]
        self._leases[lease] = row
        self._changes.leases[lease] = (row, self.event_count)

    def _lease(self, lease: bytes) -> Lease | None:
        leases = self._leases
        if lease not in leases:
            old = self._old_leases
            leases[lease] = old.pop(lease) if lease in old else self.rows.lease(lease)
        return leases[lease]

    def _put_delegate(self, row: Delegate) -> None:
        self._delegates[row.buyer, row.key] = row
        self._changes.delegates[row.buyer, row.key] = (row, self.event_count)

    def _delegate(self, buyer: bytes, key: bytes) -> Delegate | None:
        delegates = self._delegates
        if (buyer, key) not in delegates:
            delegates[buyer, key] = self.rows.delegate(buyer, key)
        return delegates[buyer, key]

    def _require(self, lease: bytes, states: tuple[LeaseState, ...]) -> Lease:
        found = self._lease(lease)
        if found is None or found.state not in states:
            raise BadEvent(f"lease 0x{lease.hex()} is not in a state for this event")
        return found

    def holds_account(self, account: bytes) -> bool:
        """Whether it need not be asked for."""
        return account in self._holdings or account in self._old_holdings

    def holds_lease(self, lease: bytes) -> bool:
        """As above; also that there is none."""
        return lease in self._leases or lease in self._old_leases

    def age(self, most: int) -> bool:
        """Forgets what was not used since the last time, if it holds more than `most` newer leases or accounts."""
        if len(self._leases) <= most and len(self._holdings) <= most:
            return False
        forgets = bool(self._old_leases or self._old_holdings)
        self._old_leases, self._leases = self._leases, {}
        self._old_holdings, self._holdings = self._holdings, {}
        return forgets

    def accounts(self) -> list[Account]:
        """All that it holds now; all there are, if it folded from the first event."""
        return [held.row() for held in self._holdings.values()]

    def leases(self) -> list[Lease]:
        return [row for row in self._leases.values() if row is not None]


_FOLDS: Final[dict[type[LedgerEvent], Callable[..., None]]] = {
    Deposited: Book._deposited,
    Withdrawn: Book._withdrawn,
    BeneficiarySet: Book._beneficiary_set,
    DelegateApproved: Book._delegate_approved,
    DelegateCharged: Book._delegate_charged,
    MessageCancelled: Book._message_cancelled,
    EpochBumped: Book._epoch_bumped,
    Auction: Book._nothing,
    Skipped: Book._nothing,
    LeaseOpened: Book._lease_opened,
    VoucherRedeemed: Book._voucher_redeemed,
    LeaseClosing: Book._lease_closing,
    LeaseAcknowledged: Book._lease_acknowledged,
    ClaimCommitted: Book._claim_committed,
    LeaseClaimed: Book._lease_claimed,
    LeaseDisputed: Book._lease_disputed,
    LeaseRuled: Book._lease_ruled,
    DisputeLapsed: Book._dispute_lapsed,
    LeaseClosed: Book._lease_closed,
}
#: as `protocol.events.EVENTS`: how it is folded in, whom its fields name, whether its lease's sides are meant too
_KINDS: Final = [(_FOLDS[kind], ACCOUNTS[place], SIDES[place]) for place, kind in enumerate(EVENTS)]
