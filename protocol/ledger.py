"""The reference model of the money: what ComputeLedger does on the fast path, in plain Python (SPEC "Money flow").

Same steps in the same order, no gas and no bytes. Who signed is passed in, because signatures are tested elsewhere.
Every refusal is `Refused` for a whole call or a `Skip` for an item of a batch. Amounts are base units, times unix
seconds.
"""

from collections import defaultdict
from dataclasses import dataclass, field

from protocol.events import EndReason, LeaseState, Skip
from protocol.fit import mismatch
from protocol.hashing import ZERO_ADDRESS, Address
from protocol.ids import lease_id
from protocol.terms import Offer, Order
from protocol.units import lock_up


class Refused(Exception):
    """The call reverts; nothing changed. Holds the name of the ledger's error."""


@dataclass(slots=True)
class AccountModel:
    """An account's slot."""

    free: int = 0
    bonded: int = 0
    open_leases: int = 0
    epoch: int = 0


@dataclass(slots=True, kw_only=True)
class LeaseModel:
    """A lease's two slots, with the buyer for the sums."""

    buyer: Address
    provider: Address
    locked: int
    bond: int
    paid: int
    voucher_signer: Address
    deadline: int
    rate: int
    zone: int
    state: LeaseState
    reason: EndReason = EndReason.NONE
    done: bool = False
    #: the buyer's side ended it before its duration
    early: bool = False
    #: the provider acknowledged the close
    responded: bool = False

    def state_at(self, time: int) -> LeaseState:
        """An Open lease past its deadline is Closing without a transaction."""
        if self.state is LeaseState.OPEN and time >= self.deadline:
            return LeaseState.CLOSING
        return self.state

    def end(self) -> tuple[EndReason, bool]:
        """Why it ended and whether its lane is done; a lease still stored as Open ended by its duration."""
        return (EndReason.EXPIRED, True) if self.state is LeaseState.OPEN else (self.reason, self.done)


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchModel:
    """One item of `open`: digests and recovered signers stand for bytes and signatures."""

    offer: Offer
    offer_digest: bytes
    offer_signer: Address
    order: Order
    order_digest: bytes
    order_signer: Address
    fill: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VoucherModel:
    """A voucher with its recovered signer."""

    lease: bytes
    cumulative: int
    last: bool
    signer: Address


@dataclass(slots=True)
class LedgerModel:
    """The whole ledger's money."""

    #: seconds
    min_notice: int
    accounts: defaultdict[Address, AccountModel] = field(default_factory=lambda: defaultdict(AccountModel))
    delegates: dict[tuple[Address, Address], tuple[int, int]] = field(default_factory=dict)
    cancelled: set[tuple[Address, bytes]] = field(default_factory=set)
    leases: dict[bytes, LeaseModel] = field(default_factory=dict)
    #: base units that came in minus those that went out
    held: int = 0

    def deposit(self, account: Address, amount: int) -> None:
        self.accounts[account].free += amount
        self.held += amount

    def withdraw(self, caller: Address, amount: int) -> None:
        if amount == 0:
            raise Refused("ComputeLedger_ZeroAmount")
        if amount > self.accounts[caller].free:
            raise Refused("ComputeLedger_InsufficientFree")
        self.accounts[caller].free -= amount
        self.held -= amount

    def approve_delegate(self, caller: Address, key: Address, cap: int, until: int) -> None:
        self.delegates[caller, key] = (cap, until)

    def cancel(self, caller: Address, digest: bytes) -> None:
        self.cancelled.add((caller, digest))

    def open(self, caller: Address, time: int, match: MatchModel) -> Skip:
        """Opens one lease, or says why not."""
        if lease_id(match.order_digest, match.fill) in self.leases:
            # First, so that a match that is sent again is never mistaken for one that was refused.
            return Skip.ALREADY_OPEN
        skip = self._offer_fault(match, time) or self._order_fault(caller, time, match)
        if skip:
            return skip
        order, offer = match.order, match.offer
        charge = 0
        if match.fill >= order.replicas:
            skip = self._predecessor_fault(match, time)
        elif match.order_signer != order.buyer:
            skip, charge = self._delegate_charge(match, time)
        if skip := skip or self._zone_fault(match):
            return skip
        locked = min(lock_up(offer.rate, order.quantity), order.budget - self.used(match))
        committed = locked + order.fee
        bonded = order.bond + (committed if offer.provider == order.buyer else 0)
        checks = (
            (Skip.NOTHING_TO_LOCK, locked > 0),
            (Skip.MIN_CHARGE, order.min_charge <= locked),
            (Skip.BUYER_FUNDS, committed <= self.accounts[order.buyer].free),
            (Skip.PROVIDER_FUNDS, bonded <= self.accounts[offer.provider].free),
            (Skip.CAPACITY, self.accounts[offer.provider].open_leases < offer.capacity),
        )
        if skip := next((skip for skip, holds in checks if not holds), Skip.NONE):
            return skip
        self._apply(caller, time, match, locked, charge)
        return Skip.NONE

    def _offer_fault(self, match: MatchModel, time: int) -> Skip:
        offer = match.offer
        checks = (
            (Skip.OFFER_EXPIRED, time < offer.expiry),
            (Skip.OFFER_EPOCH, offer.epoch == self.accounts[offer.provider].epoch),
            (Skip.OFFER_CANCELLED, (offer.provider, match.offer_digest) not in self.cancelled),
            (Skip.OFFER_SIGNATURE, match.offer_signer == offer.provider),
        )
        return next((skip for skip, holds in checks if not holds), Skip.NONE)

    def _order_fault(self, caller: Address, time: int, match: MatchModel) -> Skip:
        order = match.order
        if skip := mismatch(match.offer, order, self.min_notice):
            return skip
        matched = (
            order.matcher == ZERO_ADDRESS or caller in (order.matcher, order.deputy) or time >= order.matcher_until
        )
        checks = (
            (Skip.FILL_OUT_OF_RANGE, match.fill < order.max_leases),
            (Skip.MATCHER, matched),
            (Skip.ORDER_EXPIRED, time < order.expiry),
            (Skip.ORDER_EPOCH, order.epoch == self.accounts[order.buyer].epoch),
            (Skip.ORDER_CANCELLED, (order.buyer, match.order_digest) not in self.cancelled),
        )
        return next((skip for skip, holds in checks if not holds), Skip.NONE)

    def _delegate_charge(self, match: MatchModel, time: int) -> tuple[Skip, int]:
        """What the first fill of a lane takes of the signer's cap: its budget, and a fee for each fill it can have."""
        order = match.order
        remaining, until = self.delegates.get((order.buyer, match.order_signer), (0, 0))
        lane = match.fill % order.replicas
        charge = order.budget + order.fee * len(range(lane, order.max_leases, order.replicas))
        if match.order_signer == ZERO_ADDRESS or time >= until:
            return Skip.ORDER_SIGNATURE, 0
        return (Skip.DELEGATE_CAP, 0) if remaining < charge else (Skip.NONE, charge)

    def _predecessor_fault(self, match: MatchModel, time: int) -> Skip:
        predecessor = self.leases.get(lease_id(match.order_digest, match.fill - match.order.replicas))
        if predecessor is None:
            return Skip.NO_PREDECESSOR
        if predecessor.state_at(time) is LeaseState.OPEN:
            return Skip.PREDECESSOR_OPEN
        return Skip.LANE_DONE if predecessor.end()[1] else Skip.NONE

    def _zone_fault(self, match: MatchModel) -> Skip:
        """With distinct zones, that of a fill that is not Closed is taken, and that of the lane's predecessor."""
        if not match.order.distinct_zones:
            return Skip.NONE
        for other in range(match.order.max_leases):
            lease = self.leases.get(lease_id(match.order_digest, other))
            counts = lease is not None and (
                lease.state is not LeaseState.CLOSED or other == match.fill - match.order.replicas
            )
            if counts and lease is not None and lease.zone == match.offer.zone:
                return Skip.ZONE_TAKEN
        return Skip.NONE

    def used(self, match: MatchModel) -> int:
        """Base units of the lane's budget that its earlier fills took: paid if Closed, else locked."""
        fills = range(match.fill % match.order.replicas, match.fill, match.order.replicas)
        earlier = (self.leases[lease_id(match.order_digest, before)] for before in fills)
        return sum(lease.paid if lease.state is LeaseState.CLOSED else lease.locked for lease in earlier)

    def _apply(self, caller: Address, time: int, match: MatchModel, locked: int, charge: int) -> None:
        order, offer = match.order, match.offer
        if charge:
            remaining, until = self.delegates[order.buyer, match.order_signer]
            self.delegates[order.buyer, match.order_signer] = (remaining - charge, until)
        self.accounts[order.buyer].free -= locked + order.fee
        self.accounts[caller].free += order.fee
        provider = self.accounts[offer.provider]
        provider.free -= order.bond
        provider.bonded += order.bond
        provider.open_leases += 1
        self.leases[lease_id(match.order_digest, match.fill)] = LeaseModel(
            buyer=order.buyer,
            provider=offer.provider,
            locked=locked,
            bond=order.bond,
            paid=0,
            voucher_signer=order.voucher_signer,
            deadline=time + order.duration,
            rate=offer.rate,
            zone=offer.zone,
            state=LeaseState.OPEN,
        )

    def redeem(self, voucher: VoucherModel) -> Skip:
        """Pays min(cumulative, locked) − paid; never closes."""
        skip, amount = self._voucher(voucher)
        if not skip and amount == 0:
            skip = Skip.VOUCHER_STALE
        if not skip:
            self._pay(voucher.lease, amount)
        return skip

    def _voucher(self, voucher: VoucherModel) -> tuple[Skip, int]:
        lease = self.leases.get(voucher.lease)
        if lease is None:
            return Skip.UNKNOWN_LEASE, 0
        if lease.state is LeaseState.CLOSED:
            return Skip.LEASE_CLOSED, 0
        if voucher.signer != lease.voucher_signer:
            return Skip.VOUCHER_SIGNATURE, 0
        return Skip.NONE, max(0, min(voucher.cumulative, lease.locked) - lease.paid)

    def _pay(self, lease_key: bytes, amount: int) -> None:
        self._pay_lease(self.leases[lease_key], amount)

    def _pay_lease(self, lease: LeaseModel, amount: int) -> None:
        lease.paid += amount
        self.accounts[lease.provider].free += amount

    def close(
        self, caller: Address, time: int, order: Order, order_digest: bytes, fill: int, reason: EndReason
    ) -> None:
        """The buyer's side ends an Open lease; its notice starts."""
        lease = self.leases.get(lease_id(order_digest, fill))
        if lease is None:
            raise Refused("ComputeLedger_WrongOrder")
        owner = caller in (order.buyer, order.voucher_signer)
        if not owner and caller not in (order.matcher, order.deputy):
            raise Refused("ComputeLedger_NotBuyerSide")
        allowed = {EndReason.UNRESPONSIVE, EndReason.FAULTY} | ({EndReason.CANCELLED} if owner else set())
        if reason not in allowed:
            raise Refused("ComputeLedger_ReasonNotAllowed")
        if lease.state_at(time) is not LeaseState.OPEN:
            raise Refused("ComputeLedger_WrongState")
        self._start_notice(lease, time, order.notice, reason, done=reason is EndReason.CANCELLED, early=True)

    def resign(self, caller: Address, time: int, order: Order, order_digest: bytes, fill: int) -> None:
        """The provider leaves an Open lease; its notice starts."""
        lease = self.leases.get(lease_id(order_digest, fill))
        if lease is None:
            raise Refused("ComputeLedger_WrongOrder")
        if caller != lease.provider:
            raise Refused("ComputeLedger_NotProvider")
        if lease.state_at(time) is not LeaseState.OPEN:
            raise Refused("ComputeLedger_WrongState")
        self._start_notice(lease, time, order.notice, EndReason.RESIGNED, done=False, early=False)

    def acknowledge(self, caller: Address, time: int, lease_key: bytes) -> None:
        """The provider answers a close before its deadline."""
        lease = self.leases.get(lease_key)
        if lease is None or caller != lease.provider:
            raise Refused("ComputeLedger_NotProvider")
        if lease.state is not LeaseState.CLOSING:
            raise Refused("ComputeLedger_WrongState")
        if time >= lease.deadline:
            raise Refused("ComputeLedger_DeadlinePassed")
        lease.responded = True

    @staticmethod
    def _start_notice(lease: LeaseModel, time: int, notice: int, reason: EndReason, *, done: bool, early: bool) -> None:
        lease.deadline = time + notice
        lease.state = LeaseState.CLOSING
        lease.reason = reason
        lease.done = done
        lease.early = early

    def close_last(
        self, time: int, order: Order, order_digest: bytes, fill: int, voucher: VoucherModel, *, agreed: bool
    ) -> Skip:
        """Pays a `last` voucher and ends its lease: at once if `agreed` by the provider, else its notice starts."""
        if not voucher.last:
            return Skip.NOT_LAST
        skip, amount = self._voucher(voucher)
        if skip:
            return skip
        if lease_id(order_digest, fill) != voucher.lease:
            return Skip.WRONG_ORDER
        lease = self.leases[voucher.lease]
        is_open = lease.state_at(time) is LeaseState.OPEN
        if not agreed and amount == 0 and not is_open:
            return Skip.VOUCHER_STALE
        self._pay(voucher.lease, amount)
        if agreed:
            self._finish(lease, order.buyer, EndReason.COMPLETED if is_open else lease.end()[0], done=True)
        elif is_open:
            self._start_notice(lease, time, order.notice, EndReason.COMPLETED, done=True, early=True)
        return Skip.NONE

    def finalise(self, time: int, order: Order, order_digest: bytes, fill: int) -> None:
        """Closes a lease whose notice is over; the rest of its lock goes back to the buyer."""
        lease = self.leases.get(lease_id(order_digest, fill))
        if lease is None:
            raise Refused("ComputeLedger_WrongOrder")
        if lease.state_at(time) is not LeaseState.CLOSING:
            raise Refused("ComputeLedger_WrongState")
        if time < lease.deadline + (order.notice if lease.state is LeaseState.OPEN else 0):
            raise Refused("ComputeLedger_DeadlineNotReached")
        reason, done = lease.end()
        penalty = self._charge_minimum(lease, order)
        self._finish(lease, order.buyer, reason, done=done, penalty=penalty)

    def _charge_minimum(self, lease: LeaseModel, order: Order) -> int:
        """If the buyer's side ended it early: tops the provider up, or returns what it forfeits of its bond."""
        if not lease.early:
            return 0
        if lease.reason is EndReason.UNRESPONSIVE and not lease.responded:
            return order.min_charge
        self._pay_lease(lease, max(0, order.min_charge - lease.paid))
        return 0

    def _finish(self, lease: LeaseModel, buyer: Address, reason: EndReason, *, done: bool, penalty: int = 0) -> None:
        provider = self.accounts[lease.provider]
        self.accounts[buyer].free += lease.locked - lease.paid + penalty
        provider.free += lease.bond - penalty
        provider.bonded -= lease.bond
        provider.open_leases -= 1
        lease.state = LeaseState.CLOSED
        lease.reason = reason
        lease.done = done
        lease.early = lease.responded = False

    def owed(self) -> int:
        """Σ free + Σ bonded + what open locks still hold: equals `held` after every step."""
        balances = sum(account.free + account.bonded for account in self.accounts.values())
        running = (lease for lease in self.leases.values() if lease.state is not LeaseState.CLOSED)
        return balances + sum(lease.locked - lease.paid for lease in running)
