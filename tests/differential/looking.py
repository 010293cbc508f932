"""What the choosers see: the model, what was signed so far, times around deadlines, leases in a state."""

from dataclasses import dataclass, field
from random import Random
from typing import Final

from protocol.events import LeaseState
from protocol.hashing import Address, keccak256
from protocol.ids import lease_id
from protocol.ledger.opening import SignedOffer
from protocol.ledger.signing import SignedVoucher
from protocol.ledger.state import Lease, Ledger
from protocol.messages import digest
from protocol.terms import Offer, Order, UsageReceipt, Voucher
from tests.differential.cast import (
    BY_ADDRESS,
    DELEGATES,
    EVERYBODY,
    PROVIDERS,
    SIGNERS,
    STRANGER,
)
from tests.differential.making import Maker
from tests.differential.twins import Twins

CHECKPOINTS: Final = tuple(keccak256(bytes([number])) for number in range(3))
POOL: Final = 10
Spot = tuple[Order, int, bytes]
"""(order, fill, lease id)"""


@dataclass(slots=True)
class Memory:
    """What was signed and tried so far."""

    orders: list[Order] = field(default_factory=list)
    offers: list[SignedOffer] = field(default_factory=list)
    #: leases that were opened, oldest first
    opened: list[Spot] = field(default_factory=list)
    #: order digest → signature that opens it
    signatures: dict[bytes, bytes] = field(default_factory=dict)
    vouchers: dict[bytes, list[SignedVoucher]] = field(default_factory=dict)
    #: lease → (result, salt)
    commitments: dict[bytes, tuple[bytes, bytes]] = field(default_factory=dict)


class NothingFits(Exception):
    """No lease is in a state that the operation is for."""


class Looker:
    """Looks at the model, never at the bytecode."""

    def __init__(self, twins: Twins, random: Random) -> None:
        self.random, self.twins = random, twins
        self.ledger: Ledger = twins.ledger
        self.maker = Maker(random)
        self.memory = Memory()

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    @property
    def now(self) -> int:
        return self.twins.time

    # Time

    def _moment(self, *around: int) -> int:
        """The block's time: soon, or one second before, at or after a deadline that is not far."""
        marks = [mark for mark in around if mark >= self.now]
        near = [mark for mark in marks if mark <= self.now + 45]
        if near and self.chance(0.4):
            return max(self.now, self.random.choice(near) + self.random.choice((-1, -1, 0, 0, 1)))
        if marks and self.chance(0.05):
            return max(self.now, self.random.choice(marks) + self.random.choice((-1, 0, 1)))
        if self.chance(0.02):
            near = [mark for mark in self._marks() if self.now <= mark <= self.now + 400]
            if near:
                return max(self.now, self.random.choice(near) + self.random.choice((-1, 0, 1)))
        return self.now + self.random.choice((0, 0, 0, 1, 1, 2, 3))

    def _marks(self) -> list[int]:
        marks = [lease.deadline for lease in self.ledger.leases.values() if lease.state is not LeaseState.CLOSED]
        marks += [delegate.until for delegate in self.ledger.delegates.values()]
        marks += [order.expiry for order in self.memory.orders[-POOL:]]
        marks += [order.matcher_until for order in self.memory.orders[-POOL:]]
        return marks + [item.offer.expiry for item in self.memory.offers[-POOL:]]

    def _deadlines(self, spot: Spot) -> tuple[int, ...]:
        lease = self.ledger.leases.get(spot[2])
        if lease is None:
            return ()
        claim = self.ledger.claims.get(spot[2])
        return (lease.deadline, lease.deadline_at(max(self.now, lease.deadline), spot[0].notice)) + (
            (claim.reveal_from,) if claim and claim.reveal_from else ()
        )

    # Picking

    def _digest(self, message: Order | Offer | UsageReceipt | Voucher) -> bytes:
        return digest(self.twins.domain, message)

    def _epochs(self) -> dict[Address, int]:
        return {who: self.ledger.accounts[who].epoch for who in self.twins.known.people}

    def _order(self) -> Order:
        """One of the newest, or a new one."""
        orders = self.memory.orders
        if len(orders) < 3 or self.chance(0.14):
            order = self.maker.order(self.now, self._epochs())
            orders.append(order)
            hashed = self._digest(order)
            fills = range(min(order.max_leases, 16) + 1)
            self.twins.known.leases += [lease_id(hashed, fill) for fill in fills]
            self.memory.signatures[hashed] = self._order_signature(order, hashed)
        return self.random.choice(orders[-POOL:])

    def _order_signature(self, order: Order, hashed: bytes) -> bytes:
        key = BY_ADDRESS[order.buyer].key if order.buyer in BY_ADDRESS else STRANGER.key
        if self.chance(0.2):
            key = self.random.choice((*DELEGATES, *DELEGATES, *DELEGATES, STRANGER)).key
        return key.sign_digest(hashed)

    def _spot(self, *states: LeaseState) -> Spot:
        """A lease in one of these states if there is one; now and then any, even one that does not exist."""
        opened = self.memory.opened
        if not opened or self.chance(0.03):
            order = self._order()
            fill = self.random.randrange(5)
            return order, fill, lease_id(self._digest(order), fill)
        if self.chance(0.05):
            return self.random.choice(opened)
        wanted = states or tuple(state for state in LeaseState if state is not LeaseState.CLOSED)
        fitting = [spot for spot in opened if self.ledger.leases[spot[2]].state_at(self.now) in wanted]
        if states and self.chance(0.85):
            fitting = [spot for spot in fitting if self._deadlines(spot)[1] > self.now]
        if not fitting and self.chance(0.93):
            raise NothingFits
        return self.random.choice(fitting or opened)

    def _lease(self, spot: Spot) -> Lease:
        """The lease, or for one that does not exist a stand-in to make arguments from."""
        return self.ledger.leases.get(spot[2]) or Lease(
            provider=PROVIDERS[0].address, locked=10, voucher_signer=SIGNERS[0].address, deadline=0, rate=10**6, zone=0
        )

    def _provider_of(self, spot: Spot) -> Address:
        return self._lease(spot).provider if not self.chance(0.07) else STRANGER.address

    def _anybody(self) -> Address:
        return self.random.choice(EVERYBODY).address
