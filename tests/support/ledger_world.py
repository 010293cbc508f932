"""A deployed ledger with a funded buyer and two providers, acted on by real signatures and real transactions."""

from dataclasses import dataclass, field
from itertools import count
from typing import Any

from gridlease.court_terms import CourtTerms
from gridlease.deploy import deploy_ledger
from protocol.calls import signed_voucher, struct_of
from protocol.deployment import Deployment
from protocol.events import EndReason
from protocol.hashing import ZERO_ADDRESS, ZERO_HASH, keccak256
from protocol.ids import lease_id
from protocol.keys import LocalKey
from protocol.messages import digest, sign
from protocol.rpc import Rpc
from protocol.terms import Offer, Order, Voucher
from protocol.wallet import send
from tests.support.anvil import BUYER, CHAIN_ID, DEPLOYER, MATCHER, Anvil

DOLLAR = 10**6
FAR = 2**40 - 1


@dataclass(frozen=True, slots=True)
class Leased:
    """A lease and what was signed for it."""

    id: bytes
    order: Order
    fill: int
    provider: LocalKey


@dataclass(slots=True)
class LedgerWorld:
    """Every method sends one transaction and waits for its block."""

    node: Anvil
    deployment: Deployment
    buyer: LocalKey = BUYER
    matcher: LocalKey = MATCHER
    voucher_signer: LocalKey = field(default_factory=lambda: LocalKey.derive(bytes(32), "voucher signer"))
    providers: list[LocalKey] = field(default_factory=list)
    salts: Any = field(default_factory=lambda: count(1))

    @classmethod
    def deploy(
        cls, node: Anvil, deposit_base: int = 100 * DOLLAR, court_terms: CourtTerms | None = None
    ) -> "LedgerWorld":
        deployment = deploy_ledger(node.rpc, DEPLOYER, CHAIN_ID, None, court_terms=court_terms)
        world = cls(node, deployment)
        world.providers = [LocalKey.derive(bytes(32), f"provider {number}") for number in (1, 2)]
        for key in world.providers:
            node.rpc.call("anvil_setBalance", key.address, hex(10**20))
        world.deposit(deposit_base)
        return world

    @property
    def rpc(self) -> Rpc:
        return self.node.rpc

    def _ledger(self, key: LocalKey, name: str, *arguments: Any) -> dict[str, Any]:
        return send(self.rpc, key, "ComputeLedger", self.deployment.ledger, name, *arguments)

    def deposit(self, amount: int) -> dict[str, Any]:
        token, ledger = self.deployment.token, self.deployment.ledger
        send(self.rpc, DEPLOYER, "TestDollar", token, "mint", self.buyer.address, amount)
        send(self.rpc, self.buyer, "TestDollar", token, "approve", ledger, amount)
        return self._ledger(self.buyer, "deposit", self.buyer.address, amount)

    def withdraw(self, amount: int) -> dict[str, Any]:
        return self._ledger(self.buyer, "withdraw", self.buyer.address, self.buyer.address, amount)

    def approve_delegate(self, key: str, cap: int) -> dict[str, Any]:
        return self._ledger(self.buyer, "approveDelegate", key, cap, FAR)

    def cancel(self, message: bytes) -> dict[str, Any]:
        return self._ledger(self.buyer, "cancel", message)

    def bump_epoch(self, key: LocalKey) -> dict[str, Any]:
        return self._ledger(key, "bumpEpoch")

    def open(self, provider: int = 0, *, signer: LocalKey | None = None, copies: int = 1) -> list[Leased]:
        """Opens `copies` leases with one provider in one transaction."""
        key = self.providers[provider]
        offer = Offer(
            provider=key.address,
            quantities=0,
            traits=0,
            zone=provider + 1,
            meter=1,
            rate=800_000,
            capacity=1000,
            min_duration=1,
            max_duration=10_000,
            notice=10,
            min_charge=0,
            bond=0,
            arbiter=ZERO_ADDRESS,
            expiry=FAR,
            epoch=0,
            salt=next(self.salts),
        )
        leased, matches = [], []
        for _ in range(copies):
            order = self.order()
            order_digest = digest(self.deployment.domain, order)
            signature = sign(self.deployment.domain, order, signer or self.buyer)
            matches.append((struct_of(order), signature, 0, 0))
            leased.append(Leased(lease_id(order_digest, 0), order, 0, key))
        offers = [(struct_of(offer), sign(self.deployment.domain, offer, key))]
        self._ledger(self.matcher, "open", offers, matches, ZERO_HASH)
        return leased

    def order(self, **changes: Any) -> Order:
        terms: dict[str, Any] = {
            "buyer": self.buyer.address,
            "voucher_signer": self.voucher_signer.address,
            "job": keccak256(b"job"),
            "quantities": 0,
            "all_of": 0,
            "any_of": 0,
            "none_of": 0,
            "zones": 0,
            "distinct_zones": False,
            "auditor": ZERO_ADDRESS,
            "attested": 0,
            "meter": 1,
            "max_rate": 900_000,
            "quantity": 1_500_000,
            "duration": 600,
            "budget": 3 * DOLLAR,
            "replicas": 1,
            "quorum": 0,
            "max_leases": 4,
            "bond": 0,
            "notice": 10,
            "min_charge": 0,
            "arbiter": ZERO_ADDRESS,
            "challenge_window": 0,
            "matcher": self.matcher.address,
            "deputy": ZERO_ADDRESS,
            "matcher_until": FAR,
            "fee": 1000,
            "expiry": FAR,
            "epoch": 0,
            "salt": next(self.salts),
        }
        return Order(**terms | changes)

    def _voucher(self, leased: Leased, cumulative: int, *, last: bool) -> tuple[Any, ...]:
        result = keccak256(leased.id + cumulative.to_bytes(8, "big"))
        voucher = Voucher(
            lease=leased.id, provider=leased.provider.address, cumulative=cumulative, result=result, last=last
        )
        signature = sign(self.deployment.domain, voucher, self.voucher_signer)
        return signed_voucher(voucher, signature)

    def redeem(self, *payments: tuple[Leased, int]) -> dict[str, Any]:
        """Redeems a cumulative amount for each lease, in one transaction."""
        vouchers = [self._voucher(leased, cumulative, last=False) for leased, cumulative in payments]
        return self._ledger(self.matcher, "redeem", vouchers)

    def close(self, leased: Leased, reason: EndReason = EndReason.UNRESPONSIVE) -> dict[str, Any]:
        return self._ledger(self.matcher, "close", struct_of(leased.order), leased.fill, int(reason))

    def close_last(self, leased: Leased, cumulative: int) -> dict[str, Any]:
        """The provider sends the `last` voucher: Closed at once."""
        item = (struct_of(leased.order), leased.fill, self._voucher(leased, cumulative, last=True), b"")
        return self._ledger(leased.provider, "closeLast", [item])

    def finalise(self, leased: Leased) -> dict[str, Any]:
        return self._ledger(self.matcher, "finalise", struct_of(leased.order), leased.fill)

    def story(self) -> list[Leased]:
        """A little of everything: eleven blocks or so with each kind of event."""
        delegate = LocalKey.derive(bytes(32), "delegate")
        self.approve_delegate(delegate.address, 20 * DOLLAR)
        first, second = self.open(0, copies=2)
        (third,) = self.open(1, signer=delegate)
        self.redeem((first, 200_000), (second, 300_000))
        self.redeem((first, 250_000), (second, 300_000), (third, 999))
        self.close_last(first, 700_000)
        self.close(second)
        self.node.advance_time(11)
        self.finalise(second)
        self.cancel(keccak256(b"an order"))
        self.bump_epoch(self.providers[1])
        self.withdraw(1 * DOLLAR)
        return [first, second, third]
