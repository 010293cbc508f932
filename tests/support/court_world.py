"""A deployed court over a ledger: jurors with stakes, two providers, one buyer, and leases that name it as arbiter."""

from dataclasses import dataclass, field
from typing import Any, Final

from gridlease.court_terms import CourtTerms
from protocol.calls import struct_of
from protocol.court import CONTRACT
from protocol.hashing import ZERO_HASH, Address
from protocol.ids import lease_id
from protocol.keys import LocalKey
from protocol.messages import Domain, digest, sign
from protocol.terms import Attestation, Offer, Order
from protocol.wallet import read, send
from tests.support.anvil import DEPLOYER, Anvil
from tests.support.court_job import JOB_HASH
from tests.support.ledger_world import DOLLAR, FAR, Leased, LedgerWorld

RATE: Final = 4_000_000_000
"""Pico-dollars for 10⁶ units."""

EARNED: Final = 5_674_534
"""Base units of the honest job: less than the bond, so a claim asks for all of it."""

LOCK: Final = 6 * DOLLAR
"""Of `QUANTITY` at `RATE`."""

QUANTITY: Final = 1500
BOND: Final = 6 * DOLLAR
SEAT_BOND: Final = 12 * DOLLAR
"""Half of three is all that a dispute of a whole claim moves: the claim and two bonds."""

SEAT_FEE: Final = DOLLAR // 4
SILENCE: Final = SEAT_BOND // 10
"""What a juror loses that does not reveal."""

MOVE_SECONDS: Final = 6 * 3600
COMMIT_SECONDS: Final = 12 * 3600
REVEAL_SECONDS: Final = 10 * 3600
WINDOW_SECONDS: Final = 3600

TERMS: Final = CourtTerms(
    seat_bond=SEAT_BOND,
    fee_per_seat=SEAT_FEE,
    move_time=MOVE_SECONDS,
    commit_time=COMMIT_SECONDS,
    reveal_time=REVEAL_SECONDS,
)

ZONES: Final = (7, 8)
"""Of the two providers."""

JURORS: Final = 14
TRAIT: Final = 1


@dataclass(slots=True)
class CourtWorld:
    """Every method sends one transaction or more and waits for its block."""

    ledger: LedgerWorld
    court: Address
    stranger: LocalKey = field(default_factory=lambda: LocalKey.derive(bytes(32), "stranger"))
    auditor: LocalKey = field(default_factory=lambda: LocalKey.derive(bytes(32), "auditor"))
    jurors: list[LocalKey] = field(default_factory=list)
    #: a juror that stands in the first provider's zone
    neighbour: LocalKey = field(default_factory=lambda: LocalKey.derive(bytes(32), "neighbour"))

    @classmethod
    def deploy(cls, node: Anvil) -> "CourtWorld":
        ledger = LedgerWorld.deploy(node, court_terms=TERMS)
        world = cls(ledger, ledger.deployment.court)
        for key in (world.stranger, ledger.voucher_signer):
            node.rpc.call("anvil_setBalance", key.address, hex(10**20))
        for key in (*ledger.providers, ledger.voucher_signer):
            world.fund(key, 20 * DOLLAR)
        world.join(world.neighbour, ZONES[0])
        for number in range(JURORS):
            world.jurors.append(LocalKey.derive(bytes(32), f"juror {number}"))
            world.join(world.jurors[-1], 10 + number)
        return world

    @property
    def node(self) -> Anvil:
        return self.ledger.node

    @property
    def buyer(self) -> LocalKey:
        return self.ledger.buyer

    @property
    def providers(self) -> list[LocalKey]:
        return self.ledger.providers

    def send(self, key: LocalKey, name: str, *arguments: Any) -> dict[str, Any]:
        """A call of the court; raises `TransactionReverted`."""
        return send(self.node.rpc, key, CONTRACT, self.court, name, *arguments)

    def send_ledger(self, key: LocalKey, name: str, *arguments: Any) -> dict[str, Any]:
        return send(self.node.rpc, key, "ComputeLedger", self.ledger.deployment.ledger, name, *arguments)

    def view(self, name: str, *arguments: Any) -> Any:
        """The one value of a view of the court."""
        return read(self.node.rpc, CONTRACT, self.court, name, *arguments)[0]

    def view_ledger(self, name: str, *arguments: Any) -> Any:
        return read(self.node.rpc, "ComputeLedger", self.ledger.deployment.ledger, name, *arguments)[0]

    def view_token(self, name: str, *arguments: Any) -> int:
        return int(read(self.node.rpc, "TestDollar", self.ledger.deployment.token, name, *arguments)[0])

    def join(self, juror: LocalKey, zone: int) -> None:
        """It stakes what is missing of a seat bond."""
        missing = SEAT_BOND - self.view("jurorOf", juror.address)[0]
        self.node.rpc.call("anvil_setBalance", juror.address, hex(10**20))
        self._mint(juror, missing, self.court)
        self.send(juror, "join", zone)

    def fund(self, key: LocalKey, amount: int) -> None:
        self._mint(key, amount, self.ledger.deployment.ledger)
        self.send_ledger(key, "deposit", key.address, amount)

    def _mint(self, key: LocalKey, amount: int, spender: Address) -> None:
        token = self.ledger.deployment.token
        send(self.node.rpc, DEPLOYER, "TestDollar", token, "mint", key.address, amount)
        send(self.node.rpc, key, "TestDollar", token, "approve", spender, amount)

    def attest(self, provider: int) -> None:
        """The auditor knows the provider's machine and zone."""
        word = Attestation(
            auditor=self.auditor.address,
            provider=self.providers[provider].address,
            traits=TRAIT,
            zone=ZONES[provider],
            valid_until=FAR,
            evidence=JOB_HASH,
        )
        registry = self.ledger.deployment.registry
        signature = sign(Domain(chain_id=self.ledger.deployment.chain_id, ledger=registry), word, self.auditor)
        send(self.node.rpc, self.stranger, "ProviderRegistry", registry, "attest", struct_of(word), signature)

    def order(self, **changes: Any) -> Order:
        terms: dict[str, Any] = {
            "job": JOB_HASH,
            "max_rate": RATE,
            "quantity": QUANTITY,
            "duration": 7200,
            "budget": 4 * LOCK,
            "bond": BOND,
            "min_charge": DOLLAR,
            "arbiter": self.court,
            "challenge_window": WINDOW_SECONDS,
            "fee": 0,
        }
        return self.ledger.order(**terms | changes)

    def open(self, order: Order, fill: int = 0, provider: int = 0) -> Leased:
        key, domain = self.providers[provider], self.ledger.deployment.domain
        offer = Offer(
            provider=key.address, quantities=0, traits=TRAIT, zone=ZONES[provider], meter=1, rate=RATE, capacity=16,
            min_duration=1, max_duration=10_000, notice=10, min_charge=DOLLAR, bond=order.bond, arbiter=self.court,
            expiry=FAR, epoch=0, salt=next(self.ledger.salts),
        )  # fmt: skip
        match = (struct_of(order), sign(domain, order, self.buyer), fill, 0)
        self.send_ledger(
            self.ledger.matcher, "open", [(struct_of(offer), sign(domain, offer, key))], [match], ZERO_HASH
        )
        return Leased(lease_id(digest(domain, order), fill), order, fill, key)
