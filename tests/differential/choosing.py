"""What happens next: operations at random, weighted so that every outcome is reached."""

from collections.abc import Callable
from random import Random

from protocol.events import EndReason, LeaseState
from protocol.fit import mismatch
from protocol.hashing import ZERO_ADDRESS, ZERO_HASH, keccak256
from protocol.ids import lease_id
from protocol.keys import compact_signature
from protocol.ledger.claims import ClaimTerms, StartVoucher, commitment_of
from protocol.ledger.leases import LastVoucher
from protocol.ledger.opening import Match, SignedOffer
from protocol.ledger.signing import SignedVoucher
from protocol.terms import Order, UsageReceipt, Voucher
from tests.differential.cast import (
    BUYERS,
    BY_ADDRESS,
    DELEGATES,
    MATCHERS,
    PROVIDERS,
    SIGNERS,
    STRANGER,
    Actor,
)
from tests.differential.chain import MIN_NOTICE
from tests.differential.looking import CHECKPOINTS, POOL, NothingFits, Spot
from tests.differential.making import DAY
from tests.differential.operations import Operation
from tests.differential.purses import Purses
from tests.differential.twins import Twins
from tests.differential.witnesses import Witnesses


class Chooser(Purses):
    """Weights, the fast path and the slow one."""

    def __init__(self, twins: Twins, random: Random) -> None:
        super().__init__(twins, random)
        self.witnesses = Witnesses(twins, random)
        self._table: tuple[tuple[float, Callable[[], Operation]], ...] = (
            (26, self._open), (11, self._redeem), (5, self._close_last), (5, self._close), (2.5, self._resign),
            (3, self._acknowledge), (5, self._commit), (10, self._claim), (6, self._challenge), (6, self._rule),
            (8, self._finalise), (5, self._deposit), (3, self._withdraw), (1, self._beneficiary), (2.5, self._delegate),
            (1.2, self._cancel), (0.25, self._bump), (1.2, self._permit), (1.8, self._authorization),
            (2.5, self.witnesses.attest), (0.8, self.witnesses.revoke), (0.4, self.witnesses.profile),
        )  # fmt: skip
        self._first = [self._endow(actor) for actor in dict.fromkeys((*BUYERS, *PROVIDERS, *SIGNERS))]
        self._first += [self._trust(buyer) for buyer in BUYERS if self.chance(0.7)]
        self._weights = [weight for weight, _ in self._table]
        self._acts = [act for _, act in self._table]

    def _endow(self, actor: Actor) -> Operation:
        # Some are so rich that the widest numbers can move.
        amount = self.random.randrange(100, 3000) if self.chance(0.8) else 2**53
        return Operation("deposit", BUYERS[0].address, self.now, (actor.address, amount))

    def _trust(self, buyer: Actor) -> Operation:
        return Operation("approveDelegate", buyer.address, self.now, (DELEGATES[0].address, 2**64 - 1, self.now + DAY))

    def next(self) -> Operation:
        if self._first:
            return self._first.pop()
        try:
            return self.random.choices(self._acts, self._weights)[0]()
        except NothingFits:
            return self._open()

    def note(self, operation: Operation) -> None:
        """Remembers what an operation has opened."""
        if operation.name == "open":
            for match in operation.arguments[1]:
                key = lease_id(self._digest(match.order), match.fill)
                spot = (match.order, match.fill, key)
                if key in self.ledger.leases and spot not in self.memory.opened:
                    self.memory.opened.append(spot)

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
        if ready and self.chance(0.8):
            return order, self.random.choice(ready)
        running = [spot for spot in self.memory.opened if self._lease(spot).state_at(self.now) is LeaseState.OPEN]
        if running and self.chance(0.3):
            order, fill, _ = self.random.choice(running)
            return order, fill + order.replicas
        order = self.random.choice(self.memory.opened)[0] if self.memory.opened and self.chance(0.4) else order
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
        fitting = [item for item in self.memory.offers[-POOL:] if not mismatch(item.offer, order, MIN_NOTICE)]
        if fitting and self.chance(0.6):
            return self.random.choice(fitting)
        if self.memory.offers and self.chance(0.06):
            return self.random.choice(self.memory.offers[-POOL:])
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
        voucher = Voucher(lease=spot[2], provider=lease.provider, cumulative=cumulative, result=result, last=last)
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

    def _slow(self, *states: LeaseState, replicated: bool | None = None) -> Spot:
        """Mostly a lease whose order has an arbiter, and one lane or several."""
        for _ in range(6):
            spot = self._spot(*states)
            fits = replicated is None or (spot[0].replicas > 1) is replicated
            if fits and spot[0].arbiter != ZERO_ADDRESS and spot[0].meter == 1:
                break
        return spot

    def _commit(self) -> Operation:
        replicated = None if self.chance(0.1) else True
        spot = self._slow(LeaseState.OPEN, LeaseState.CLOSING, replicated=replicated)
        provider = self._provider_of(spot)
        result, salt = self.random.choice(CHECKPOINTS), keccak256(spot[2])
        commitment = commitment_of(spot[2], provider, result, salt)
        self.memory.commitments[spot[2]] = (result, salt)
        return Operation("commitClaim", provider, self._moment(*self._deadlines(spot)), (*spot[:2], commitment))

    def _claim(self) -> Operation:
        hidden = [spot for spot in self.memory.opened if self._is_hidden(spot)]
        if hidden and self.chance(0.6):
            spot = self.random.choice(hidden)
            waiting = self.ledger.claims[spot[2]].reveal_from
            deadline = self._lease(spot).deadline
            time = max(self.now, self.random.choice((waiting - 1, waiting, waiting + 1, deadline - 1, deadline)))
        elif self.chance(0.15):
            spot = self._slow(LeaseState.CLAIMED)
            time = self._moment(*self._deadlines(spot))
        else:
            spot = self._slow(LeaseState.OPEN, LeaseState.CLOSING, replicated=False)
            time = self._moment(*self._deadlines(spot))
        order, fill, key = spot
        result, salt = self.memory.commitments.get(key, (CHECKPOINTS[0], ZERO_HASH))
        if self.chance(0.15):
            salt = ZERO_HASH
        most = min(2**64, (self._lease(spot).locked + 3) * 10**12 // max(1, self._lease(spot).rate) + 2)
        work = self.random.choice((self.random.randrange(most), most - 1, 2**64 - 1, 0))
        start, checkpoint = self._start(order, fill)
        terms = ClaimTerms(work=work, result=result, start=checkpoint, last=self.chance(0.5))
        arguments = (order, fill, terms, salt, start)
        return Operation("claim", self._provider_of(spot), time, arguments)

    def _is_hidden(self, spot: Spot) -> bool:
        """There is a commitment that waits to be revealed."""
        claim = self.ledger.claims.get(spot[2])
        lease = self.ledger.leases[spot[2]]
        claimed = lease.state is LeaseState.CLAIMED and (self.now < lease.deadline or self.chance(0.05))
        return claimed and claim is not None and claim.reveal_from > 0

    def _start(self, order: Order, fill: int) -> tuple[StartVoucher | None, bytes]:
        """Sometimes a checkpoint of an earlier fill, sometimes of a fill that does not count."""
        if self.chance(0.5):
            return None, self.random.choices((ZERO_HASH, CHECKPOINTS[0]), (9, 1))[0]
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
        if self.chance(0.6):
            spot = self._slow(LeaseState.CLAIMED)
        else:
            spot = self._slow(LeaseState.OPEN, LeaseState.CLOSING, LeaseState.CLAIMED)
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
        spot = self._slow(LeaseState.DISPUTED if self.chance(0.7) else LeaseState.CLAIMED)
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
            winner, jurors, wins = 0, 0, True
        arbiter = order.arbiter if order.arbiter != ZERO_ADDRESS and not self.chance(0.05) else STRANGER.address
        # Mostly in time: the arbiter's deadline is two weeks ahead, and going there ends all that runs.
        time = self._moment(*self._deadlines(spot)) if self.chance(0.02) else self._moment()
        return Operation("rule", arbiter, time, (order, fill, wins, award, winner, jurors))

    def _finalise(self) -> Operation:
        spot = self._spot()
        if self._lease(spot).state is LeaseState.DISPUTED and not self.chance(0.08):
            return Operation("finalise", self._anybody(), self._moment(), spot[:2])
        return Operation("finalise", self._anybody(), self._moment(*self._deadlines(spot)), spot[:2])
