"""What happens next: operations at random, weighted so that every outcome is reached, times around deadlines."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from protocol.events import EndReason, LeaseState
from protocol.fit import mismatch
from protocol.hashing import ZERO_ADDRESS, ZERO_HASH, Address, keccak256
from protocol.ids import lease_id
from protocol.keys import LocalKey, compact_signature
from protocol.ledger.claims import ClaimTerms, StartVoucher, commitment_of
from protocol.ledger.leases import LastVoucher
from protocol.ledger.opening import Match, SignedOffer
from protocol.ledger.signing import SignedVoucher
from protocol.ledger.state import Lease, Ledger
from protocol.messages import digest
from protocol.terms import Offer, Order, UsageReceipt, Voucher
from tests.differential.cast import (
    BENEFICIARY,
    BUYERS,
    BY_ADDRESS,
    DELEGATES,
    EVERYBODY,
    MATCHERS,
    PROVIDERS,
    SIGNERS,
    STRANGER,
    Actor,
)
from tests.differential.chain import MIN_NOTICE
from tests.differential.making import DAY, Maker
from tests.differential.operations import Operation
from tests.differential.twins import Twins
from tests.differential.witnesses import Witnesses

CHECKPOINTS: Final = tuple(keccak256(bytes([number])) for number in range(3))
_POOL: Final = 10
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


class _NothingFits(Exception):
    """No lease is in a state that the operation is for."""


class Chooser:
    """Looks at the model, never at the bytecode."""

    def __init__(self, twins: Twins, random: Random) -> None:
        self.random, self.twins = random, twins
        self.ledger: Ledger = twins.ledger
        self.maker = Maker(random)
        self.memory = Memory()
        self.witnesses = Witnesses(twins, random)
        self._table: tuple[tuple[float, Callable[[], Operation]], ...] = (
            (26, self._open), (11, self._redeem), (5, self._close_last), (5, self._close), (2.5, self._resign),
            (3, self._acknowledge), (5, self._commit), (10, self._claim), (7, self._challenge), (6, self._rule),
            (8, self._finalise), (5, self._deposit), (3, self._withdraw), (1, self._beneficiary), (2.5, self._delegate),
            (1.2, self._cancel), (0.25, self._bump), (0.8, self._permit), (0.8, self._authorization),
            (2.5, self.witnesses.attest), (0.8, self.witnesses.revoke), (0.4, self.witnesses.profile),
        )  # fmt: skip
        self._first = [self._endow(actor) for actor in dict.fromkeys((*BUYERS, *PROVIDERS, *SIGNERS))]
        self._weights = [weight for weight, _ in self._table]
        self._acts = [act for _, act in self._table]

    def _endow(self, actor: Actor) -> Operation:
        return Operation("deposit", BUYERS[0].address, self.now, (actor.address, self.random.randrange(100, 3000)))

    def next(self) -> Operation:
        if self._first:
            return self._first.pop()
        try:
            return self.random.choices(self._acts, self._weights)[0]()
        except _NothingFits:
            return self._open()

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    @property
    def now(self) -> int:
        return self.twins.time

    def note(self, operation: Operation) -> None:
        """Remembers what an operation has opened."""
        if operation.name == "open":
            for match in operation.arguments[1]:
                key = lease_id(self._digest(match.order), match.fill)
                spot = (match.order, match.fill, key)
                if key in self.ledger.leases and spot not in self.memory.opened:
                    self.memory.opened.append(spot)

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
        marks += [order.expiry for order in self.memory.orders[-_POOL:]]
        marks += [order.matcher_until for order in self.memory.orders[-_POOL:]]
        return marks + [item.offer.expiry for item in self.memory.offers[-_POOL:]]

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
        return self.random.choice(orders[-_POOL:])

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
            raise _NothingFits
        return self.random.choice(fitting or opened)

    def _lease(self, spot: Spot) -> Lease:
        """The lease, or for one that does not exist a stand-in to make arguments from."""
        return self.ledger.leases.get(spot[2]) or Lease(
            provider=PROVIDERS[0].address, locked=10, voucher_signer=SIGNERS[0].address, deadline=0, rate=10**6, zone=0
        )

    def _provider_of(self, spot: Spot) -> Address:
        return self._lease(spot).provider if not self.chance(0.04) else STRANGER.address

    def _anybody(self) -> Address:
        return self.random.choice(EVERYBODY).address

    # Fast path

    def _open(self) -> Operation:
        random = self.random
        offers: list[SignedOffer] = []
        matches = []
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            order, fill = self._fill()
            offers.append(self._offer(order))
            hashed = self._digest(order)
            place = len(offers) - 1 if self.chance(0.95) else random.randrange(len(offers) + 2)
            signature = self.memory.signatures[hashed]
            if self.chance(0.03):
                signature = random.choice((b"", signature[:64], signature + b"\0", bytes(65)))
            matches.append(Match(order=order, signature=signature, fill=fill, offer=place))
        caller = random.choices([MATCHERS[0].address, MATCHERS[1].address, self._anybody()], (7, 1.5, 1.5))[0]
        root = keccak256(b"book") if self.chance(0.3) else ZERO_HASH
        return Operation("open", caller, self._moment(), (tuple(offers), tuple(matches), root))

    def _fill(self) -> tuple[Order, int]:
        """Mostly a lane that can go on."""
        for _ in range(6):
            order = self._order()
            if ready := self._ready(order):
                break
        if ready and self.chance(0.85):
            return order, self.random.choice(ready)
        return order, self.random.randrange(min(order.max_leases, 16) + 1)

    def _ready(self, order: Order) -> list[int]:
        hashed, ready = self._digest(order), []
        for fill in range(min(order.max_leases, 16)):
            if lease_id(hashed, fill) in self.ledger.leases:
                continue
            before = self.ledger.leases.get(lease_id(hashed, fill - order.replicas)) if fill >= order.replicas else None
            over = before is not None and before.state_at(self.now) is not LeaseState.OPEN and not before.done
            if fill < order.replicas or over:
                ready.append(fill)
        return ready

    def _offer(self, order: Order) -> SignedOffer:
        fitting = [item for item in self.memory.offers[-_POOL:] if not mismatch(item.offer, order, MIN_NOTICE)]
        if fitting and self.chance(0.6):
            return self.random.choice(fitting)
        if self.memory.offers and self.chance(0.06):
            return self.random.choice(self.memory.offers[-_POOL:])
        offer = self.maker.offer(self.now, self._epochs(), order)
        key = BY_ADDRESS[offer.provider].key if offer.provider in BY_ADDRESS else STRANGER.key
        if self.chance(0.03):
            key = STRANGER.key
        item = SignedOffer(offer=offer, signature=key.sign_digest(self._digest(offer)))
        self.memory.offers.append(item)
        return item

    def _voucher(self, spot: Spot, *, last: bool) -> SignedVoucher:
        kept = self.memory.vouchers.setdefault(spot[2], [])
        if kept and self.chance(0.1):
            return self.random.choice(kept)
        lease = self._lease(spot)
        top = lease.locked if lease.locked < 2**20 else min(2**48 - 1, lease.locked * 2)
        cumulative = self.random.choice((lease.locked, self.random.randrange(top + 5), min(2**48 - 1, lease.paid + 1)))
        result = self.random.choice(CHECKPOINTS)
        voucher = Voucher(
            lease=spot[2], provider=lease.provider, cumulative=cumulative, result=result, last=last
        )
        signer = BY_ADDRESS.get(lease.voucher_signer, STRANGER)
        key = signer.key if not self.chance(0.06) else STRANGER.key
        signed = SignedVoucher(
            lease=voucher.lease,
            cumulative=voucher.cumulative,
            result=result,
            last=last,
            signature=b"".join(compact_signature(key.sign_digest(self._digest(voucher)))),
        )
        kept.append(signed)
        return signed

    def _redeem(self) -> Operation:
        spots = [self._spot() for _ in range(self.random.choice((1, 1, 2, 3)))]
        vouchers = tuple(self._voucher(spot, last=self.chance(0.1)) for spot in spots)
        return Operation("redeem", self._anybody(), self._moment(*self._deadlines(spots[0])), (vouchers,))

    def _close_last(self) -> Operation:
        items, caller = [], self._anybody()
        spots = [self._spot() for _ in range(self.random.choice((1, 1, 1, 2)))]
        for spot in spots:
            order, fill, _ = spot
            lease = self._lease(spot)
            voucher = self._voucher(spot, last=not self.chance(0.06))
            kind = self.random.random()
            countersigned = b""
            if kind < 0.15:
                caller = lease.provider
            elif kind < 0.45:
                signed = Voucher(
                    lease=voucher.lease,
                    provider=lease.provider,
                    cumulative=voucher.cumulative,
                    result=voucher.result,
                    last=voucher.last,
                )
                key = BY_ADDRESS[lease.provider].key if not self.chance(0.1) else STRANGER.key
                countersigned = key.sign_digest(self._digest(signed))
            if self.chance(0.04):
                order, fill, _ = self._spot()
            items.append(LastVoucher(order=order, fill=fill, voucher=voucher, provider_signature=countersigned))
        return Operation("closeLast", caller, self._moment(*self._deadlines(spots[0])), (tuple(items),))

    def _close(self) -> Operation:
        spot = self._spot(LeaseState.OPEN)
        order, fill, _ = spot
        side = (order.buyer, order.voucher_signer, order.matcher, order.deputy)
        caller = self.random.choice([who for who in side if who != ZERO_ADDRESS])
        if self.chance(0.06):
            caller = self._anybody()
        reasons = (EndReason.CANCELLED, EndReason.UNRESPONSIVE, EndReason.UNRESPONSIVE, EndReason.FAULTY)
        reason = self.random.choice(reasons if not self.chance(0.06) else tuple(EndReason))
        return Operation("close", caller, self._moment(*self._deadlines(spot)), (order, fill, reason))

    def _resign(self) -> Operation:
        spot = self._spot(LeaseState.OPEN)
        return Operation("resign", self._provider_of(spot), self._moment(*self._deadlines(spot)), spot[:2])

    def _acknowledge(self) -> Operation:
        spot = self._spot(LeaseState.CLOSING)
        return Operation("acknowledge", self._provider_of(spot), self._moment(*self._deadlines(spot)), (spot[2],))

    # Slow path

    def _slow(self, spots: Callable[[], Spot]) -> Spot:
        """Mostly a lease whose order has an arbiter."""
        for _ in range(4):
            spot = spots()
            if spot[0].arbiter != ZERO_ADDRESS and spot[0].meter == 1:
                return spot
        return spot

    def _commit(self) -> Operation:
        spot = self._slow(lambda: self._spot(LeaseState.OPEN, LeaseState.CLOSING))
        if spot[0].replicas == 1 and self.chance(0.6):
            spot = self._slow(lambda: self._spot(LeaseState.OPEN, LeaseState.CLOSING))
        provider = self._provider_of(spot)
        result, salt = self.random.choice(CHECKPOINTS), keccak256(spot[2])
        commitment = commitment_of(spot[2], provider, result, salt)
        self.memory.commitments[spot[2]] = (result, salt)
        return Operation("commitClaim", provider, self._moment(*self._deadlines(spot)), (*spot[:2], commitment))

    def _claim(self) -> Operation:
        states = (LeaseState.CLAIMED,) if self.chance(0.5) else (LeaseState.OPEN, LeaseState.CLOSING)
        spot = self._slow(lambda: self._spot(*states))
        order, fill, key = spot
        result, salt = self.memory.commitments.get(key, (CHECKPOINTS[0], ZERO_HASH))
        if self.chance(0.08):
            salt = ZERO_HASH
        most = min(2**64, (self._lease(spot).locked + 3) * 10**12 // max(1, self._lease(spot).rate) + 2)
        work = self.random.choice((self.random.randrange(most), most - 1, 2**64 - 1, 0))
        start, checkpoint = self._start(order, fill)
        terms = ClaimTerms(work=work, result=result, start=checkpoint, last=self.chance(0.5))
        arguments = (order, fill, terms, salt, start)
        return Operation("claim", self._provider_of(spot), self._moment(*self._deadlines(spot)), arguments)

    def _start(self, order: Order, fill: int) -> tuple[StartVoucher | None, bytes]:
        """Sometimes a checkpoint of an earlier fill, sometimes of a fill that does not count."""
        if self.chance(0.5):
            return None, self.random.choice((ZERO_HASH, ZERO_HASH, ZERO_HASH, CHECKPOINTS[0]))
        lane = range(fill % max(1, order.replicas), fill, max(1, order.replicas))
        other = self.random.choice(lane) if lane and self.chance(0.8) else self.random.randrange(fill + 2)
        key = lease_id(self._digest(order), other)
        kept = self.memory.vouchers.get(key)
        if not kept and key in self.ledger.leases:
            kept = [self._voucher((order, other, key), last=False)]
        if not kept:
            return None, ZERO_HASH
        voucher = self.random.choice(kept)
        checkpoint = voucher.result if not self.chance(0.1) else self.random.choice(CHECKPOINTS)
        return StartVoucher(fill=other, voucher=voucher), checkpoint

    def _challenge(self) -> Operation:
        receipt, signature = None, b""
        if self.chance(0.5):
            spot = self._slow(lambda: self._spot(LeaseState.CLAIMED))
        else:
            spot = self._slow(lambda: self._spot(LeaseState.OPEN, LeaseState.CLOSING, LeaseState.CLAIMED))
            receipt = UsageReceipt(
                lease=spot[2] if not self.chance(0.05) else keccak256(spot[2]), sequence=1, metered_until=1, work=5,
                result=CHECKPOINTS[0], checkpoint=CHECKPOINTS[1],
            )  # fmt: skip
            key = BY_ADDRESS[self._lease(spot).provider].key if not self.chance(0.07) else STRANGER.key
            signature = key.sign_digest(self._digest(receipt))
        order = spot[0]
        caller = self.random.choice((order.buyer, order.voucher_signer)) if not self.chance(0.07) else self._anybody()
        if caller == ZERO_ADDRESS:
            caller = STRANGER.address
        return Operation("challenge", caller, self._moment(*self._deadlines(spot)), (*spot[:2], receipt, signature))

    def _rule(self) -> Operation:
        spot = self._slow(lambda: self._spot(*((LeaseState.DISPUTED,) if self.chance(0.75) else (LeaseState.CLAIMED,))))
        order, fill, key = spot
        lease, claim = self._lease(spot), self.ledger.claims.get(key)
        wins = self.chance(0.6)
        due = lease.due(claim.target) if claim else 0
        award = self.random.choice((0, due, due, due + 1, self.random.randrange(due + 1))) if wins else 0
        if not wins and self.chance(0.05):
            award = 1
        bond = min(order.bond, 2**40)
        winner = self.random.randrange(bond + 1)
        jurors = self.random.choice((0, bond - winner, self.random.randrange(bond - winner + 1)))
        if self.chance(0.06):
            jurors = bond - winner + 1
        if lease.state is LeaseState.CLAIMED and self.chance(0.8):
            winner = jurors = 0
        arbiter = order.arbiter if order.arbiter != ZERO_ADDRESS and not self.chance(0.05) else STRANGER.address
        # Mostly in time: the arbiter's deadline is two weeks ahead, and going there ends all that runs.
        time = self._moment(*self._deadlines(spot)) if self.chance(0.02) else self._moment()
        return Operation("rule", arbiter, time, (order, fill, wins, award, winner, jurors))

    def _finalise(self) -> Operation:
        spot = self._spot()
        if self._lease(spot).state is LeaseState.DISPUTED and not self.chance(0.08):
            return Operation("finalise", self._anybody(), self._moment(), spot[:2])
        return Operation("finalise", self._anybody(), self._moment(*self._deadlines(spot)), spot[:2])

    # Money and authority

    def _amount(self) -> int:
        random = self.random
        kinds = (0, random.randrange(1, 50), random.randrange(1, 1000), 2**49, 2**64)
        return random.choices(kinds, (1, 5, 16, 1, 0.5))[0]

    def _deposit(self) -> Operation:
        account = self.random.choice((*BUYERS, *PROVIDERS)).address if not self.chance(0.05) else ZERO_ADDRESS
        payer = self._anybody()
        return Operation("deposit", payer, self._moment(), (account, self._amount()))

    def _withdraw(self) -> Operation:
        account = self._anybody()
        free = self.ledger.accounts[account].free
        choices = (0, 1, free, free + 1, self.random.randrange(free // 2 + 1))
        amount = self.random.choices(choices, (1, 2, 0.7, 1, 4))[0]
        caller = self._controller(account) if not self.chance(0.1) else self._anybody()
        to = ZERO_ADDRESS if self.chance(0.05) else self._anybody()
        return Operation("withdraw", caller, self._moment(), (account, to, amount))

    def _controller(self, account: Address) -> Address:
        entry = self.ledger.accounts[account]
        return entry.beneficiary if entry.guarded else account

    def _beneficiary(self) -> Operation:
        account = self.random.choice((*BUYERS, *PROVIDERS, *SIGNERS)).address
        guarded = [actor.address for actor in EVERYBODY if self.ledger.accounts[actor.address].guarded]
        if guarded and self.chance(0.7):
            account = self.random.choice(guarded)
        to = BENEFICIARY.address if not self.ledger.accounts[account].guarded else ZERO_ADDRESS
        caller = self._controller(account) if not self.chance(0.1) else account
        return Operation("setBeneficiary", caller, self._moment(), (account, to))

    def _delegate(self) -> Operation:
        cap = self.random.choice((0, 100, 100, 2**64 - 1, 2**64 - 1))
        until = self.now + self.random.choice((0, 30, 10 * DAY, 10 * DAY))
        key = self.random.choice(DELEGATES).address if not self.chance(0.05) else ZERO_ADDRESS
        return Operation("approveDelegate", self.random.choice(BUYERS).address, self._moment(), (key, cap, until))

    def _cancel(self) -> Operation:
        message: Any = self._order()
        if self.memory.offers and self.chance(0.4):
            message = self.random.choice(self.memory.offers[-_POOL:]).offer
        owner = message.buyer if isinstance(message, Order) else message.provider
        caller = owner if owner != ZERO_ADDRESS and not self.chance(0.1) else self._anybody()
        hashed = self._digest(message)
        self.twins.known.cancelled += [(who, hashed) for who in {caller, owner}]
        return Operation("cancel", caller, self._moment(), (hashed,))

    def _bump(self) -> Operation:
        return Operation("bumpEpoch", self.random.choice((*BUYERS, *PROVIDERS)).address, self._moment(), ())

    def _signing_key(self, who: Address) -> LocalKey:
        return BY_ADDRESS[who].key if not self.chance(0.15) else STRANGER.key

    def _permit(self) -> Operation:
        owner, amount = self.random.choice((BUYERS[0], BUYERS[1], STRANGER)).address, self._amount()
        until = self.now + self.random.choice((0, 5, DAY))
        signed = self.twins.token.permit_digest(owner, self.ledger.address, amount, until)
        signature = self._signing_key(owner).sign_digest(signed)
        return Operation("depositWithPermit", owner, self._moment(), (amount, until, signature))

    def _authorization(self) -> Operation:
        owner, amount = self.random.choice((BUYERS[0], BUYERS[1], STRANGER)).address, self._amount()
        time = self._moment()
        after, before = time - self.random.choice((0, 1, 1, 1, 5)), time + self.random.choice((0, 1, 1, 1, 5))
        nonce = bytes(31) + bytes([self.random.randrange(256)])
        to = self.ledger.address
        signed = self.twins.token.authorization_digest(owner, to, amount, after, before, nonce)
        signature = self._signing_key(owner).sign_digest(signed)
        arguments = (owner, amount, after, before, nonce, signature)
        return Operation("depositWithAuthorization", self._anybody(), time, arguments)
