"""What a forger aims at: an operation that is accepted as it is, with one signed message in it to exchange."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from protocol.events import EndReason
from protocol.hashing import ZERO_HASH, keccak256
from protocol.ids import lease_id
from protocol.keys import LocalKey, compact_signature
from protocol.ledger.claims import ClaimTerms, StartVoucher
from protocol.ledger.leases import LastVoucher
from protocol.ledger.opening import Match, SignedOffer
from protocol.ledger.signing import SignedVoucher
from protocol.ledger.state import Done
from protocol.messages import Domain, digest
from protocol.terms import AnyMessage, Attestation, Offer, Order, UsageReceipt, Voucher
from tests.differential.cast import (
    ARBITERS,
    AUDITORS,
    BUYERS,
    DELEGATES,
    EVERYBODY,
    MATCHERS,
    PROVIDERS,
    SIGNERS,
    STRANGER,
    Actor,
)
from tests.differential.chain import InProcessChain
from tests.differential.operations import Operation
from tests.differential.twins import Twins
from tests.support.builders import FAR_TIME, make_offer, make_order

BUYER, _, WALLET_BUYER = BUYERS
SELLER, _, WALLET_SELLER, _ = PROVIDERS
_DEPOSIT: Final = 10**12
_LIFE: Final = 10_000
"""Seconds until the offers and orders expire."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One message that a forger would like to have accepted."""

    name: str
    message: AnyMessage
    key: LocalKey
    domain: Domain
    #: the operation with another message or signature in it; a voucher's signature is 64 bytes r ‖ vs, any other 65
    build: Callable[[Any, bytes], Operation]
    compact: bool = False
    #: keys that may sign this too
    also: tuple[LocalKey, ...] = ()
    #: an empty signature is nobody's word, but not a forged one
    empty_is_none: bool = False
    #: what voids the message: name → the operation that does it
    voided_by: tuple[tuple[str, Operation], ...] = ()
    #: unix seconds from which it is void, or 0
    void_from: int = 0

    def sign(self, message_digest: bytes) -> bytes:
        signature = self.key.sign_digest(message_digest)
        return b"".join(compact_signature(signature)) if self.compact else signature

    @property
    def genuine(self) -> Operation:
        return self.build(self.message, self.sign(digest(self.domain, self.message)))


class Gallery:
    """A world in which every target is accepted."""

    def __init__(self, random: Random, chain: InProcessChain | None = None) -> None:
        self.random, self.chain = random, chain or InProcessChain()
        self.twins = Twins(self.chain)
        self.domain = self.twins.domain
        self._salt = random.getrandbits(64)
        for actor in EVERYBODY:
            self._do("deposit", BUYER, actor.address, _DEPOSIT)
        until = self.twins.time + _LIFE
        self._do("approveDelegate", BUYER, DELEGATES[0].address, _DEPOSIT, until)
        self.targets = [
            self._offer(SELLER, "offer by key"),
            self._offer(WALLET_SELLER, "offer by contract"),
            self._order_target(BUYER, BUYER.key, "order by key", also=(DELEGATES[0].key,)),
            self._order_target(BUYER, DELEGATES[0].key, "order by delegate", also=(BUYER.key,)),
            self._order_target(WALLET_BUYER, WALLET_BUYER.key, "order by contract"),
            self._voucher(),
            self._last(),
            self._countersigned(SELLER, "last voucher, provider's key"),
            self._countersigned(WALLET_SELLER, "last voucher, provider's contract"),
            self._receipt(SELLER, "usage receipt by key"),
            self._receipt(WALLET_SELLER, "usage receipt by contract"),
            self._attestation(AUDITORS[0], "attestation by key"),
            self._attestation(AUDITORS[1], "attestation by contract"),
            self._start(),
        ]

    def _do(self, name: str, actor: Actor, *arguments: Any) -> None:
        outcome = self.twins.run(Operation(name, actor.address, self.twins.time, arguments))
        assert isinstance(outcome, Done), (name, outcome)

    def _next(self) -> int:
        self._salt += 1
        return self._salt

    def _make_offer(self, seller: Actor) -> Offer:
        return make_offer(
            provider=seller.address, bond=self.random.randrange(100, 10**6), arbiter=ARBITERS[0].address,
            capacity=10**6, expiry=self.twins.time + _LIFE, rate=self.random.randrange(10**5, 5_000_000),
            salt=self._next(),
        )  # fmt: skip

    def _make_order(self, buyer: Actor, **changes: Any) -> Order:
        terms = {
            "buyer": buyer.address, "voucher_signer": SIGNERS[0].address, "matcher": MATCHERS[0].address,
            "salt": self._next(), "bond": self.random.randrange(1, 100), "arbiter": ARBITERS[0].address,
            "challenge_window": 60, "duration": 3000, "budget": self.random.randrange(10**5, 10**7),
            "quantity": self.random.randrange(10**5, 10**8), "expiry": self.twins.time + _LIFE,
        }  # fmt: skip
        return make_order(**terms | changes)

    def _signed(self, message: AnyMessage, key: LocalKey) -> bytes:
        return key.sign_digest(digest(self.domain, message))

    def _opening(self, offer: Offer, by_seller: bytes, order: Order, by_buyer: bytes, fill: int = 0) -> Operation:
        offers = (SignedOffer(offer=offer, signature=by_seller),)
        matches = (Match(order=order, signature=by_buyer, fill=fill, offer=0),)
        return Operation("open", MATCHERS[0].address, self.twins.time, (offers, matches, ZERO_HASH))

    def _opened(self, seller: Actor, order: Order, fill: int = 0) -> bytes:
        offer = self._make_offer(seller)
        operation = self._opening(offer, self._signed(offer, seller.key), order, self._signed(order, BUYER.key), fill)
        outcome = self.twins.run(operation)
        assert isinstance(outcome, Done), outcome
        assert outcome.value == 1, outcome
        return lease_id(digest(self.domain, order), fill)

    def _watch(self, order: Order) -> None:
        """The leases that a forged order might open are looked at too."""
        hashed = digest(self.domain, order)
        self.twins.known.leases += [lease_id(hashed, fill) for fill in range(order.max_leases)]

    def _voiding(self, owner: Actor, message: Offer | Order) -> tuple[tuple[str, Operation], ...]:
        now, hashed = self.twins.time, digest(self.domain, message)
        return (
            ("cancelled", Operation("cancel", owner.address, now, (hashed,))),
            ("old epoch", Operation("bumpEpoch", owner.address, now, ())),
        )

    def _offer(self, seller: Actor, name: str) -> Target:
        offer, order = self._make_offer(seller), self._make_order(BUYER)
        by_buyer = self._signed(order, BUYER.key)
        self._watch(order)
        return Target(
            name=name, message=offer, key=seller.key, domain=self.domain, void_from=offer.expiry,
            build=lambda message, signature: self._opening(message, signature, order, by_buyer),
            voided_by=self._voiding(seller, offer),
        )  # fmt: skip

    def _order_target(self, buyer: Actor, key: LocalKey, name: str, also: tuple[LocalKey, ...] = ()) -> Target:
        offer, order = self._make_offer(SELLER), self._make_order(buyer)
        by_seller = self._signed(offer, SELLER.key)
        self._watch(order)
        voids = self._voiding(buyer, order)
        if key is DELEGATES[0].key:
            revoked = (key.address, 0, FAR_TIME)
            over = (key.address, _DEPOSIT, self.twins.time)
            voids += (
                ("delegate revoked", Operation("approveDelegate", buyer.address, self.twins.time, revoked)),
                ("delegate expired", Operation("approveDelegate", buyer.address, self.twins.time, over)),
            )
        genuine = self._opening(offer, by_seller, order, key.sign_digest(digest(self.domain, order)))
        return Target(
            name=name, message=order, key=key, domain=self.domain, also=also, void_from=order.expiry,
            build=lambda message, signature: self._opening(offer, by_seller, message, signature),
            voided_by=(*voids, ("sent again", genuine)),
        )  # fmt: skip

    def _make_voucher(self, lease: bytes, *, last: bool) -> Voucher:
        kept = self.twins.ledger.leases[lease]
        amount = self.random.randrange(1, kept.locked)
        result = keccak256(self._next().to_bytes(32, "big"))
        return Voucher(lease=lease, provider=kept.provider, cumulative=amount, result=result, last=last)

    @staticmethod
    def _compact(message: Voucher, signature: bytes) -> SignedVoucher:
        return SignedVoucher(
            lease=message.lease, cumulative=message.cumulative, result=message.result, last=message.last,
            signature=signature,
        )  # fmt: skip

    def _by_signer(self, voucher: Voucher) -> SignedVoucher:
        signature = b"".join(compact_signature(self._signed(voucher, SIGNERS[0].key)))
        return self._compact(voucher, signature)

    def _voucher(self) -> Target:
        voucher = self._make_voucher(self._opened(SELLER, self._make_order(BUYER)), last=False)
        now = self.twins.time
        again = Operation("redeem", STRANGER.address, now, ((self._by_signer(voucher),),))
        return Target(
            name="voucher", message=voucher, key=SIGNERS[0].key, domain=self.domain, compact=True,
            build=lambda message, signature: Operation(
                "redeem", STRANGER.address, now, ((self._compact(message, signature),),)
            ),
            voided_by=(("sent again", again),),
        )  # fmt: skip

    def _last(self) -> Target:
        order = self._make_order(BUYER)
        voucher = self._make_voucher(self._opened(SELLER, order), last=True)
        now = self.twins.time

        def build(message: Voucher, signature: bytes) -> Operation:
            item = LastVoucher(order=order, fill=0, voucher=self._compact(message, signature))
            return Operation("closeLast", STRANGER.address, now, ((item,),))

        again = build(voucher, self._by_signer(voucher).signature)
        return Target(
            name="last voucher", message=voucher, key=SIGNERS[0].key, domain=self.domain, compact=True, build=build,
            voided_by=(("sent again", again),),
        )  # fmt: skip

    def _countersigned(self, seller: Actor, name: str) -> Target:
        order = self._make_order(BUYER)
        voucher = self._make_voucher(self._opened(seller, order), last=True)
        signed, now = self._by_signer(voucher), self.twins.time

        def build(message: Voucher, signature: bytes) -> Operation:
            # A changed message is changed for both signers.
            paid = self._compact(message, signed.signature)
            item = LastVoucher(order=order, fill=0, voucher=paid, provider_signature=signature)
            return Operation("closeLast", STRANGER.address, now, ((item,),))

        again = build(voucher, self._signed(voucher, seller.key))
        return Target(
            name=name, message=voucher, key=seller.key, domain=self.domain, build=build, empty_is_none=True,
            voided_by=(("sent again", again),),
        )  # fmt: skip

    def _receipt(self, seller: Actor, name: str) -> Target:
        order = self._make_order(BUYER)
        lease, now = self._opened(seller, order), self.twins.time
        receipt = UsageReceipt(
            lease=lease, sequence=1, metered_until=now * 1000, work=self.random.getrandbits(40),
            result=keccak256(b"result"), checkpoint=keccak256(b"checkpoint"),
        )  # fmt: skip

        def build(message: UsageReceipt, signature: bytes) -> Operation:
            return Operation("challenge", BUYER.address, now, (order, 0, message, signature))

        again = build(receipt, self._signed(receipt, seller.key))
        return Target(
            name=name, message=receipt, key=seller.key, domain=self.domain, build=build,
            voided_by=(("sent again", again),),
        )  # fmt: skip

    def _attestation(self, auditor: Actor, name: str) -> Target:
        now = self.twins.time
        word = Attestation(
            auditor=auditor.address, provider=SELLER.address, traits=self.random.getrandbits(200), zone=3,
            valid_until=now + _LIFE, evidence=keccak256(self._next().to_bytes(32, "big")),
        )  # fmt: skip
        domain = self.twins.registry.domain
        self.twins.known.attestations.append(digest(domain, word))

        def build(message: Attestation, signature: bytes) -> Operation:
            return Operation("attest", STRANGER.address, now, (message, signature))

        again = build(word, auditor.key.sign_digest(digest(domain, word)))
        revoked = Operation("revoke", auditor.address, now, (word,))
        return Target(
            name=name, message=word, key=auditor.key, domain=domain, build=build, void_from=word.valid_until,
            voided_by=(("sent again", again), ("revoked", revoked)),
        )  # fmt: skip

    def _start(self) -> Target:
        """A claim that starts at a checkpoint of the lease before in its lane."""
        order = self._make_order(BUYER, budget=10**10)
        before = self._opened(SELLER, order)
        voucher = self._make_voucher(before, last=False)
        self._do("close", BUYER, order, 0, EndReason.FAULTY)
        self._opened(SELLER, order, 1)
        terms = ClaimTerms(work=10**12, result=keccak256(b"result"), start=voucher.result, last=True)
        now = self.twins.time

        def build(message: Voucher, signature: bytes) -> Operation:
            start = StartVoucher(fill=0, voucher=self._compact(message, signature))
            return Operation("claim", SELLER.address, now, (order, 1, terms, ZERO_HASH, start))

        again = build(voucher, self._by_signer(voucher).signature)
        return Target(
            name="voucher of a checkpoint", message=voucher, key=SIGNERS[0].key, domain=self.domain, compact=True,
            build=build, voided_by=(("sent again", again),),
        )  # fmt: skip
