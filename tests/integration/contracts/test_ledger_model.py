"""The reference model of the money and the deployed bytecode do the same, operation by operation, to the unit."""

import random
from collections.abc import Iterator
from typing import Any

import pytest

from protocol.calls import artefact, signed_voucher
from protocol.errors import TransactionReverted
from protocol.events import TOPICS, EndReason, Skip, signature
from protocol.hashing import ZERO_HASH, keccak256
from protocol.ids import lease_id
from protocol.keys import LocalKey
from protocol.ledger import LedgerModel, MatchModel, Refused, VoucherModel
from protocol.messages import digest, sign
from protocol.terms import Offer, Order, Voucher
from protocol.wallet import read, send
from tests.support.anvil import BUYER, MATCHER, running_anvil
from tests.support.builders import make_offer, make_order
from tests.support.ledger_world import LedgerWorld

pytestmark = pytest.mark.node

OPERATIONS = 120
SIGNER = LocalKey.derive(bytes(32), "voucher signer")
DELEGATE = LocalKey.derive(bytes(32), "delegate")


def _fields(message: Offer | Order) -> tuple[Any, ...]:
    return tuple(getattr(message, name) for name in message.TYPES)


class Twins:
    """One ledger on a node, one in Python; every operation goes to both."""

    def __init__(self, world: LedgerWorld, seed: int) -> None:
        self.world, self.random = world, random.Random(seed)
        self.model = LedgerModel(min_notice=10)
        self.model.deposit(BUYER.address, 100 * 10**6)
        for key in world.providers:
            self._fund(key)
        self.orders = [self._order(number) for number in range(4)]
        self.opened: list[tuple[int, int]] = []

    def _fund(self, key: LocalKey) -> None:
        """What its bonds are taken from."""
        token, ledger = self.world.deployment.token, self.world.deployment.ledger
        send(self.world.rpc, key, "TestDollar", token, "mint", key.address, 30)
        send(self.world.rpc, key, "TestDollar", token, "approve", ledger, 30)
        self._send(key, "deposit", key.address, 30)
        self.model.deposit(key.address, 30)

    def _order(self, number: int) -> Order:
        replicas = 1 + number % 2
        return make_order(
            replicas=replicas, distinct_zones=number == 3, bond=3 * number, min_charge=2 * number,
            buyer=BUYER.address, voucher_signer=SIGNER.address, matcher=MATCHER.address, salt=number, fee=number * 7,
            quantity=3 + number, duration=40, budget=20 + 5 * number, notice=12, max_leases=3,
        )  # fmt: skip

    def _offer(self) -> tuple[Offer, LocalKey]:
        key = self.random.choice(self.world.providers)
        offer = make_offer(
            provider=key.address, rate=self.random.choice([1_500_000, 4_000_000, 6_000_000]), notice=12, bond=10,
            zone=self.random.choice([1, 2]),
        )  # fmt: skip
        return offer, key

    def _send(self, key: LocalKey, name: str, *arguments: Any) -> int | None:
        """The block's time, or None where the call reverted."""
        try:
            done = send(self.world.rpc, key, "ComputeLedger", self.world.deployment.ledger, name, *arguments)
        except TransactionReverted:
            return None
        return self._time(done)

    def _time(self, done: dict[str, Any]) -> int:
        return int(self.world.rpc.call("eth_getBlockByNumber", done["blockNumber"], False)["timestamp"], 16)

    def _now(self) -> int:
        return int(self.world.rpc.call("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def step(self) -> None:
        """One random operation on both."""
        operations = (self._open, self._open, self._redeem, self._close, self._close_last, self._finalise, self._wait)
        operations += (self._resign, self._acknowledge)
        self.random.choice((*operations, self._withdraw, self._delegate))()
        self._compare()

    def _open(self) -> None:
        number, fill = self.random.randrange(4), self.random.randrange(3)
        order, (offer, key) = self.orders[number], self._offer()
        domain = self.world.deployment.domain
        signer = self.random.choice([BUYER, BUYER, DELEGATE, SIGNER])
        match = (_fields(order), sign(domain, order, signer), fill, 0)
        time = self._send(MATCHER, "open", [(_fields(offer), sign(domain, offer, key))], [match], ZERO_HASH)
        assert time is not None
        skip = self.model.open(
            MATCHER.address,
            time,
            MatchModel(
                offer=offer,
                offer_digest=digest(domain, offer),
                offer_signer=key.address,
                order=order,
                order_digest=digest(domain, order),
                order_signer=signer.address,
                fill=fill,
            ),
        )
        if skip is Skip.NONE:
            self.opened.append((number, fill))

    def _voucher(self, *, last: bool) -> tuple[int, int, Voucher, bytes] | None:
        if not self.opened:
            return None
        number, fill = self.random.choice(self.opened)
        lease = lease_id(digest(self.world.deployment.domain, self.orders[number]), fill)
        provider = self.model.leases[lease].provider
        cumulative = self.random.randrange(40)
        voucher = Voucher(lease=lease, provider=provider, cumulative=cumulative, result=ZERO_HASH, last=last)
        return number, fill, voucher, sign(self.world.deployment.domain, voucher, SIGNER)

    def _redeem(self) -> None:
        if (made := self._voucher(last=False)) is None:
            return
        _, _, voucher, signature = made
        self._send(MATCHER, "redeem", [signed_voucher(voucher, signature)])
        self.model.redeem(
            VoucherModel(lease=voucher.lease, cumulative=voucher.cumulative, last=False, signer=SIGNER.address)
        )

    def _close_last(self) -> None:
        if (made := self._voucher(last=True)) is None:
            return
        number, fill, voucher, signature = made
        domain, agreed = self.world.deployment.domain, self.random.random() < 0.5
        key = next(key for key in self.world.providers if key.address == voucher.provider)
        counter = sign(domain, voucher, key) if agreed else b""
        signed = signed_voucher(voucher, signature)
        time = self._send(MATCHER, "closeLast", [(_fields(self.orders[number]), fill, signed, counter)])
        assert time is not None
        model = VoucherModel(lease=voucher.lease, cumulative=voucher.cumulative, last=True, signer=SIGNER.address)
        order = self.orders[number]
        self.model.close_last(time, order, digest(domain, order), fill, model, agreed=agreed)

    def _close(self) -> None:
        if not self.opened:
            return
        number, fill = self.random.choice(self.opened)
        reason = self.random.choice([EndReason.CANCELLED, EndReason.UNRESPONSIVE, EndReason.FAULTY])
        key = self.random.choice([MATCHER, BUYER, self.world.providers[0]])
        order = self.orders[number]
        time = self._send(key, "close", _fields(order), fill, int(reason))
        self._both(time, lambda at: self.model.close(key.address, at, order, self._digest(order), fill, reason))

    def _resign(self) -> None:
        if not self.opened:
            return
        number, fill = self.random.choice(self.opened)
        order, key = self.orders[number], self.random.choice(self.world.providers)
        time = self._send(key, "resign", _fields(order), fill)
        self._both(time, lambda at: self.model.resign(key.address, at, order, self._digest(order), fill))

    def _acknowledge(self) -> None:
        if not self.opened:
            return
        number, fill = self.random.choice(self.opened)
        lease = lease_id(self._digest(self.orders[number]), fill)
        key = self.random.choice(self.world.providers)
        time = self._send(key, "acknowledge", lease)
        self._both(time, lambda at: self.model.acknowledge(key.address, at, lease))

    def _finalise(self) -> None:
        if not self.opened:
            return
        number, fill = self.random.choice(self.opened)
        order = self.orders[number]
        time = self._send(MATCHER, "finalise", _fields(order), fill)
        self._both(time, lambda at: self.model.finalise(at, order, self._digest(order), fill))

    def _digest(self, order: Order) -> bytes:
        return digest(self.world.deployment.domain, order)

    def _both(self, time: int | None, act: Any) -> None:
        """What reverts there is refused here, and the other way round."""
        try:
            act(self._now() + 1 if time is None else time)
        except Refused:
            assert time is None
        else:
            assert time is not None

    def _withdraw(self) -> None:
        amount = self.random.randrange(0, 200 * 10**6)
        time = self._send(BUYER, "withdraw", BUYER.address, BUYER.address, amount)
        self._both(time, lambda _: self.model.withdraw(BUYER.address, amount))

    def _delegate(self) -> None:
        cap = self.random.randrange(200)
        self._send(BUYER, "approveDelegate", DELEGATE.address, cap, 4_000_000_000)
        self.model.approve_delegate(BUYER.address, DELEGATE.address, cap, 4_000_000_000)

    def _wait(self) -> None:
        self.world.node.advance_time(self.random.choice([5, 15, 45]))

    def _compare(self) -> None:
        rpc, ledger = self.world.rpc, self.world.deployment.ledger
        assert self.model.owed() == self.model.held
        for address, mine in self.model.accounts.items():
            free, bonded, open_leases, epoch, _ = read(rpc, "ComputeLedger", ledger, "account", address)[0]
            assert (free, bonded, open_leases, epoch) == (mine.free, mine.bonded, mine.open_leases, mine.epoch)
        for lease, kept in self.model.leases.items():
            view = read(rpc, "ComputeLedger", ledger, "lease", lease)[0]
            assert view[1:3] == (kept.locked, kept.paid)
            assert view[4:7] == (kept.deadline, kept.rate, kept.zone)
            assert view[7:] == (int(kept.state), int(kept.reason), kept.done, kept.early, kept.responded)
        remaining, until = read(rpc, "ComputeLedger", ledger, "delegate", BUYER.address, DELEGATE.address)[0]
        assert (remaining, until) == self.model.delegates.get((BUYER.address, DELEGATE.address), (0, 0))


@pytest.fixture
def world() -> Iterator[LedgerWorld]:
    with running_anvil() as node:
        yield LedgerWorld.deploy(node)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_model_and_the_bytecode_agree_after_every_operation(world: LedgerWorld, seed: int) -> None:
    twins = Twins(world, seed)
    for _ in range(OPERATIONS):
        twins.step()
    assert len(twins.opened) >= 2


def test_the_events_of_python_are_the_events_of_the_interface() -> None:

    declared = {}
    for entry in artefact("ComputeLedger")["abi"]:
        if entry["type"] == "event":
            types = ",".join(item["type"] for item in entry["inputs"])
            declared[keccak256(f"{entry['name']}({types})".encode())] = sum(item["indexed"] for item in entry["inputs"])
    ours = {topic: kind.INDEXED for topic, kind in TOPICS.items()}
    assert {topic: declared.get(topic) for topic in ours} == ours, [signature(kind) for kind in TOPICS.values()]
