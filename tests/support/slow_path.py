"""The slow path by real transactions: bonded leases, claims, challenges, rulings, attestations, beneficiaries."""

from typing import Any

from protocol.calls import struct_of
from protocol.events import EndReason
from protocol.hashing import ZERO_HASH, Address, keccak256
from protocol.ids import lease_id
from protocol.keys import LocalKey
from protocol.messages import Domain, digest, sign
from protocol.terms import Attestation, Offer, Order, UsageReceipt
from protocol.wallet import read, send
from tests.support.anvil import DEPLOYER
from tests.support.ledger_world import DOLLAR, FAR, Leased, LedgerWorld

BOND = DOLLAR // 2
MIN_CHARGE = DOLLAR // 5
WINDOW_SECONDS = 60
ARBITER_SECONDS = 14 * 24 * 3600
RESULT = keccak256(b"the result")
NO_VOUCHER = (0, False, ZERO_HASH, ZERO_HASH, ZERO_HASH, ZERO_HASH)


class SlowPath:
    """One world whose orders name an arbiter and a bond. Every method sends one transaction."""

    def __init__(self, world: LedgerWorld) -> None:
        self.world = world
        self.arbiter = LocalKey.derive(bytes(32), "arbiter")
        self.auditor = LocalKey.derive(bytes(32), "auditor")
        for key in (self.arbiter, self.auditor, world.voucher_signer):
            world.rpc.call("anvil_setBalance", key.address, hex(10**20))
        for key in (*world.providers, world.voucher_signer):
            self.fund(key, 10 * DOLLAR)

    def send(self, key: LocalKey, name: str, *arguments: Any) -> dict[str, Any]:
        """A call of the ledger; raises `TransactionReverted`."""
        return send(self.world.rpc, key, "ComputeLedger", self.world.deployment.ledger, name, *arguments)

    def view(self, name: str, *arguments: Any) -> Any:
        return read(self.world.rpc, "ComputeLedger", self.world.deployment.ledger, name, *arguments)[0]

    def free(self, who: Address) -> int:
        return int(self.view("account", who)[0])

    def fund(self, key: LocalKey, amount: int) -> None:
        token, ledger = self.world.deployment.token, self.world.deployment.ledger
        send(self.world.rpc, DEPLOYER, "TestDollar", token, "mint", key.address, amount)
        send(self.world.rpc, key, "TestDollar", token, "approve", ledger, amount)
        self.send(key, "deposit", key.address, amount)

    def attest(self, provider: LocalKey, zone: int) -> None:
        word = Attestation(
            auditor=self.auditor.address,
            provider=provider.address,
            traits=1,
            zone=zone,
            valid_until=FAR,
            evidence=RESULT,
        )
        registry = self.world.deployment.registry
        domain = Domain(chain_id=self.world.deployment.chain_id, ledger=registry)
        signature = sign(domain, word, self.auditor)
        send(self.world.rpc, DEPLOYER, "ProviderRegistry", registry, "attest", struct_of(word), signature)

    def order(self, **changes: Any) -> Order:
        terms: dict[str, Any] = {
            "bond": BOND,
            "min_charge": MIN_CHARGE,
            "arbiter": self.arbiter.address,
            "challenge_window": WINDOW_SECONDS,
        }
        return self.world.order(**terms | changes)

    def open(self, order: Order, fill: int = 0, provider: int = 0, *, zone: int = 1) -> Leased:
        key, domain = self.world.providers[provider], self.world.deployment.domain
        offer = Offer(
            provider=key.address, quantities=0, traits=1, zone=zone, meter=1, rate=800_000, capacity=1000,
            min_duration=1, max_duration=10_000, notice=10, min_charge=MIN_CHARGE, bond=BOND,
            arbiter=self.arbiter.address, expiry=FAR, epoch=0, salt=next(self.world.salts),
        )  # fmt: skip
        match = (struct_of(order), sign(domain, order, self.world.buyer), fill, 0)
        root = keccak256(b"book")
        self.send(self.world.matcher, "open", [(struct_of(offer), sign(domain, offer, key))], [match], root)
        return Leased(lease_id(digest(domain, order), fill), order, fill, key)

    def close(self, leased: Leased, reason: EndReason) -> None:
        self.world.close(leased, reason)

    def claim(self, leased: Leased, work: int, *, salt: bytes = ZERO_HASH, last: bool = True) -> None:
        terms, start = (work, RESULT, ZERO_HASH, last), (0, NO_VOUCHER)
        self.send(leased.provider, "claim", struct_of(leased.order), leased.fill, terms, salt, start)

    def commit(self, leased: Leased, salt: bytes) -> None:
        packed = leased.id + bytes(12) + bytes.fromhex(leased.provider.address[2:]) + RESULT + salt
        self.send(leased.provider, "commitClaim", struct_of(leased.order), leased.fill, keccak256(packed))

    def challenge(self, leased: Leased, challenger: LocalKey) -> None:
        """Of the claim."""
        nothing = (ZERO_HASH, 0, 0, 0, ZERO_HASH, ZERO_HASH)
        self.send(challenger, "challenge", struct_of(leased.order), leased.fill, nothing, b"")

    def challenge_receipt(self, leased: Leased, challenger: LocalKey) -> None:
        """Of a usage receipt that the provider signed."""
        receipt = UsageReceipt(
            lease=leased.id, sequence=1, metered_until=1, work=10**12, result=RESULT, checkpoint=RESULT
        )
        signature = sign(self.world.deployment.domain, receipt, leased.provider)
        self.send(challenger, "challenge", struct_of(leased.order), leased.fill, struct_of(receipt), signature)

    def rule(self, leased: Leased, provider_wins: bool, award: int, to_winner: int, to_jurors: int) -> None:
        order = struct_of(leased.order)
        self.send(self.arbiter, "rule", order, leased.fill, provider_wins, award, to_winner, to_jurors)

    def finalise(self, leased: Leased) -> None:
        self.world.finalise(leased)

    def wait(self, seconds: int) -> None:
        self.world.node.advance_time(seconds)
