"""Claims, disputes and rulings on a real node: the money is where SPEC says, and the mirror folds it to the unit."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command

from indexer.errors import MirrorMissing
from indexer.store import alembic_config
from protocol.errors import TransactionReverted
from protocol.events import EndReason, LeaseState
from protocol.hashing import ZERO_ADDRESS, ZERO_HASH
from tests.support.anvil import Anvil
from tests.support.databases import Database
from tests.support.followed import Followed
from tests.support.ledger_world import DOLLAR, Leased, LedgerWorld
from tests.support.slow_path import ARBITER_SECONDS, BOND, MIN_CHARGE, RESULT, WINDOW_SECONDS, SlowPath

pytestmark = pytest.mark.node

WORK = 10**12
EARNED = 800_000
"""Base units for `WORK` at the offer's rate."""
TARGET = BOND
"""What a claim can ask for with nothing paid: no more than the bond covers."""
LOCK = 1_200_000


@pytest.fixture
def slow(node: Anvil) -> Iterator[SlowPath]:
    # Time moves by weeks here, and the module's node is shared.
    snapshot = node.rpc.call("evm_snapshot")
    yield SlowPath(LedgerWorld.deploy(node))
    node.rpc.call("evm_revert", snapshot)


@pytest.fixture
def mirror(tmp_path: Path, slow: SlowPath, database: Database) -> Iterator[Followed]:
    followed = Followed(tmp_path, slow.world.deployment, slow.world.rpc, database)
    yield followed
    followed.close()


@pytest.fixture(autouse=True)
def _each_event_is_mirrored(slow: SlowPath, mirror: Followed, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each transaction of a story: the head is proved, and every row equals the contract's storage."""

    def verified(receipt: dict[str, Any], name: str) -> dict[str, Any]:
        mirror.catch_up()
        report = mirror.verify()
        assert report.holds, (name, [check for check in report.checks if not check.holds], report.first)
        assert report.head_proved
        return receipt

    sent, sent_by_world = slow.send, LedgerWorld._ledger
    monkeypatch.setattr(slow, "send", lambda key, name, *rest: verified(sent(key, name, *rest), name))
    monkeypatch.setattr(
        LedgerWorld, "_ledger", lambda world, key, name, *rest: verified(sent_by_world(world, key, name, *rest), name)
    )


class Money:
    """Who gained what since it was made; and the mirror says the same as the contract."""

    def __init__(self, slow: SlowPath, mirror: Followed, leased: Leased) -> None:
        self.slow, self.mirror, self.leased = slow, mirror, leased
        self.people = {
            "buyer": leased.order.buyer,
            "provider": leased.provider.address,
            "signer": slow.world.voucher_signer.address,
            "arbiter": slow.arbiter.address,
        }
        self.before = {name: slow.free(who) for name, who in self.people.items()}

    def gained(self) -> dict[str, int]:
        now = {name: self.slow.free(who) - self.before[name] for name, who in self.people.items()}
        return {name: amount for name, amount in now.items() if amount}

    def closed(self) -> dict[str, int]:
        """What everybody gained, after checking that the lease is Closed and the mirror holds."""
        self.mirror.catch_up()
        report = self.mirror.verify()
        assert report.holds, [check for check in report.checks if not check.holds] + [report.first]
        assert report.head_proved
        row = self.mirror.mirror.lease(self.leased.id)
        assert row is not None
        assert row.state is LeaseState.CLOSED
        assert row.paid_base + row.refunded_base == row.locked_base
        for who in self.people.values():
            assert self.slow.view("account", who)[1] == 0, "every bond is free"
            assert self.mirror.mirror.account(who).free_base == self.slow.free(who)
        assert (
            sum(payment.amount_base for payment in self.mirror.mirror.payments(lease=self.leased.id)) == row.paid_base
        )
        return self.gained()


def test_an_unchallenged_claim_is_paid_without_the_buyer(slow: SlowPath, mirror: Followed) -> None:
    leased = slow.open(slow.order())
    money = Money(slow, mirror, leased)
    slow.claim(leased, WORK)
    with pytest.raises(TransactionReverted, match="DeadlineNotReached"):
        slow.finalise(leased)
    slow.wait(WINDOW_SECONDS)
    slow.finalise(leased)
    assert money.closed() == {"buyer": LOCK - TARGET, "provider": TARGET + BOND}


def test_a_false_challenge_costs_the_challenger_its_bond(slow: SlowPath, mirror: Followed) -> None:
    leased = slow.open(slow.order())
    money = Money(slow, mirror, leased)
    slow.claim(leased, WORK)
    slow.challenge(leased, slow.world.voucher_signer)
    with pytest.raises(TransactionReverted, match="RulingTooLarge"):
        slow.rule(leased, True, TARGET + 1, 0, 0)
    with pytest.raises(TransactionReverted, match="RulingTooLarge"):
        slow.rule(leased, True, TARGET, BOND, 1)
    slow.rule(leased, True, TARGET, BOND - 1000, 1000)
    assert money.closed() == {
        "buyer": LOCK - TARGET,
        "provider": TARGET + BOND + BOND - 1000,
        "signer": -BOND,
        "arbiter": 1000,
    }


def test_a_lie_costs_the_provider_its_bond_and_pays_the_buyer_first(slow: SlowPath, mirror: Followed) -> None:
    leased = slow.open(slow.order())
    money = Money(slow, mirror, leased)
    slow.claim(leased, WORK)
    slow.challenge(leased, slow.world.buyer)
    slow.rule(leased, False, 0, BOND - 1000, 1000)
    assert money.closed() == {"buyer": LOCK + BOND - 1000, "arbiter": 1000}
    row = mirror.mirror.lease(leased.id)
    assert row is not None
    assert not row.done, "the lane can be let again"
    successor = slow.open(leased.order, 1, provider=1)
    assert slow.view("stateOf", successor.id) == LeaseState.OPEN


def test_a_silent_arbiter_costs_nobody_anything(slow: SlowPath, mirror: Followed) -> None:
    leased = slow.open(slow.order())
    money = Money(slow, mirror, leased)
    slow.world.redeem((leased, 1000))
    slow.claim(leased, WORK)
    slow.challenge(leased, slow.world.buyer)
    slow.wait(ARBITER_SECONDS)
    with pytest.raises(TransactionReverted, match="DeadlinePassed"):
        slow.rule(leased, True, 0, 0, 0)
    slow.finalise(leased)
    assert money.closed() == {"buyer": LOCK - 1000, "provider": 1000 + BOND}


def test_a_usage_receipt_can_be_disputed_while_the_lease_runs(slow: SlowPath, mirror: Followed) -> None:
    leased = slow.open(slow.order())
    money = Money(slow, mirror, leased)
    slow.world.redeem((leased, 300_000))
    slow.challenge_receipt(leased, slow.world.buyer)
    with pytest.raises(TransactionReverted, match="RulingTooLarge"):
        slow.rule(leased, True, 1, 0, 0)
    slow.rule(leased, False, 0, BOND, 0)
    assert money.closed() == {"buyer": LOCK - 300_000 + BOND, "provider": 300_000}


def test_a_copied_commitment_is_of_no_use(slow: SlowPath, mirror: Followed) -> None:
    order = slow.order(replicas=2, quorum=2, distinct_zones=True)
    first, second = slow.open(order, 0, zone=1), slow.open(order, 1, provider=1, zone=2)
    money = Money(slow, mirror, second)
    salt = b"s" * 32
    slow.commit(first, salt)
    commitment = slow.view("claimOf", first.id)[0]
    slow.send(second.provider, "commitClaim", tuple(getattr(order, name) for name in order.TYPES), 1, commitment)
    with pytest.raises(TransactionReverted, match="DeadlineNotReached"):
        slow.claim(first, WORK, salt=salt)
    slow.wait(WINDOW_SECONDS // 2)
    slow.claim(first, WORK, salt=salt)
    with pytest.raises(TransactionReverted, match="WrongCommitment"):
        slow.claim(second, WORK, salt=salt)
    # What is not revealed was not claimed.
    slow.wait(WINDOW_SECONDS)
    slow.finalise(second)
    slow.finalise(first)
    gained = money.closed()
    assert gained["provider"] == BOND
    assert gained["buyer"] == 2 * LOCK - TARGET


@pytest.mark.parametrize(
    ("reason", "answered", "paid", "penalty"),
    [
        (EndReason.UNRESPONSIVE, False, 0, MIN_CHARGE),
        (EndReason.UNRESPONSIVE, True, MIN_CHARGE, 0),
        (EndReason.FAULTY, False, MIN_CHARGE, 0),
    ],
)
def test_the_minimum_charge_is_due_to_the_side_that_was_let_down(
    slow: SlowPath, mirror: Followed, reason: EndReason, answered: bool, paid: int, penalty: int
) -> None:
    leased = slow.open(slow.order())
    money = Money(slow, mirror, leased)
    slow.close(leased, reason)
    if answered:
        slow.send(leased.provider, "acknowledge", leased.id)
    slow.wait(11)
    slow.finalise(leased)
    assert money.closed() == {"buyer": LOCK - paid + penalty, "provider": BOND + paid - penalty}


def test_an_honest_resignation_costs_nothing(slow: SlowPath, mirror: Followed) -> None:
    leased = slow.open(slow.order())
    money = Money(slow, mirror, leased)
    slow.send(leased.provider, "resign", tuple(getattr(leased.order, name) for name in leased.order.TYPES), 0)
    slow.wait(11)
    slow.finalise(leased)
    assert money.closed() == {"buyer": LOCK, "provider": BOND}


def test_agreement_pays_a_claim_at_once(slow: SlowPath, mirror: Followed) -> None:
    leased = slow.open(slow.order())
    money = Money(slow, mirror, leased)
    slow.claim(leased, WORK)
    with pytest.raises(TransactionReverted, match="WrongState"):
        slow.rule(leased, False, 0, 0, 0)
    slow.rule(leased, True, TARGET, 0, 0)
    assert money.closed() == {"buyer": LOCK - TARGET, "provider": TARGET + BOND}


def test_an_attestation_is_asked_of_the_orders_auditor(slow: SlowPath, mirror: Followed) -> None:
    wanted = {"auditor": slow.auditor.address, "attested": 1 | 1 << 255}
    refused = slow.open(slow.order(**wanted), zone=3)
    assert slow.view("stateOf", refused.id) == LeaseState.NONE
    slow.attest(slow.world.providers[0], zone=3)
    elsewhere = slow.open(slow.order(**wanted), zone=4)
    assert slow.view("stateOf", elsewhere.id) == LeaseState.NONE
    accepted = slow.open(slow.order(**wanted), zone=3)
    assert slow.view("stateOf", accepted.id) == LeaseState.OPEN


def test_a_beneficiary_keeps_the_money_from_a_stolen_operator_key(slow: SlowPath, mirror: Followed) -> None:
    provider, safe = slow.world.providers[0], slow.world.matcher
    slow.send(provider, "setBeneficiary", provider.address, safe.address)
    with pytest.raises(TransactionReverted, match="NotController"):
        slow.send(provider, "withdraw", provider.address, provider.address, 1)
    with pytest.raises(TransactionReverted, match="NotController"):
        slow.send(provider, "setBeneficiary", provider.address, provider.address)
    assert mirror.mirror.account(provider.address).beneficiary == safe.address
    slow.send(safe, "withdraw", provider.address, safe.address, DOLLAR)
    assert slow.free(provider.address) == 9 * DOLLAR
    slow.send(safe, "setBeneficiary", provider.address, ZERO_ADDRESS)
    assert mirror.mirror.account(provider.address).beneficiary is None


def test_the_mirror_shows_claim_and_dispute_as_the_contract_stores_them(slow: SlowPath, mirror: Followed) -> None:
    order = slow.order(replicas=2)
    leased = slow.open(order)
    assert (mirror.mirror.claim(leased.id), mirror.mirror.dispute(leased.id)) == (None, None)
    slow.commit(leased, b"s" * 32)
    committed = mirror.mirror.claim(leased.id)
    assert committed is not None
    assert (committed.result, committed.reveal_time) == (slow.view("claimOf", leased.id)[0], committed.reveal_time)
    assert committed.reveal_time != 0
    slow.wait(WINDOW_SECONDS // 2)
    slow.claim(leased, WORK, salt=b"s" * 32)
    revealed = mirror.mirror.claim(leased.id)
    assert revealed is not None
    assert (revealed.result, revealed.work, revealed.target_base) == (RESULT, WORK, TARGET)
    assert (revealed.reveal_time, revealed.last, revealed.start) == (0, True, ZERO_HASH)
    slow.challenge_receipt(leased, slow.world.voucher_signer)
    dispute = mirror.mirror.dispute(leased.id)
    assert dispute is not None
    assert (dispute.challenger, dispute.bond_base) == (slow.world.voucher_signer.address, BOND)
    assert dispute.receipt == slow.view("disputeOf", leased.id)[2] != ZERO_HASH


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("account_versions", "beneficiary", "{zero20}"),
        ("account_versions", "guarded", "false"),
        ("account_versions", "bonded_base", "bonded_base + 1"),
        ("lease_versions", "responded", "false"),
        ("lease_versions", "early", "true"),
        ("claim_versions", "result", "{zero32}"),
        ("claim_versions", "start", "{byte} || {zero31}"),
        ("claim_versions", "work", "work + 1"),
        ("claim_versions", "target_base", "target_base + 1"),
        ("claim_versions", "reveal_time", "7"),
        ("claim_versions", "last", "false"),
        ("disputes", "challenger", "{zero20}"),
        ("disputes", "bond_base", "0"),
        ("disputes", "receipt", "{byte} || {zero31}"),
    ],
)
def test_what_is_altered_of_the_slow_path_differs_from_rows_and_contract(
    slow: SlowPath, mirror: Followed, table: str, column: str, value: str
) -> None:
    leased = slow.open(slow.order())
    slow.claim(leased, WORK)
    slow.challenge(leased, slow.world.buyer)
    slow.send(leased.provider, "setBeneficiary", leased.provider.address, slow.world.matcher.address)
    account = mirror.database.literal(bytes.fromhex(leased.provider.address[2:]))
    lease = mirror.database.literal(leased.id)
    key = f"account = {account}" if table == "account_versions" else f"lease = {lease}"
    current = "" if table == "disputes" else " AND valid_to IS NULL"
    mirror.alter(f"UPDATE {table} SET {column} = {value} WHERE {key}{current}")
    failed = {check.name for check in mirror.verify().checks if not check.holds}
    assert failed >= {"rows = what the blocks derive to", "balances and leases = contract storage"}


def test_a_reorg_takes_back_claim_and_dispute(slow: SlowPath, mirror: Followed) -> None:
    leased = slow.open(slow.order())
    slow.claim(leased, WORK)
    slow.challenge(leased, slow.world.buyer)
    slow.world.node.reorg(1)
    mirror.catch_up()
    assert mirror.mirror.claim(leased.id) is not None
    assert mirror.mirror.dispute(leased.id) is None
    assert mirror.verify().holds
    slow.world.node.reorg(2)
    mirror.catch_up()
    assert mirror.mirror.claim(leased.id) is None
    assert mirror.verify().holds


def test_a_mirror_of_the_schema_before_is_followed_anew(slow: SlowPath, mirror: Followed) -> None:
    leased = slow.open(slow.order())
    slow.claim(leased, WORK)
    slow.world.node.reorg(1)
    mirror.catch_up()
    with mirror.engine.begin() as connection:
        command.downgrade(alembic_config(connection), "0002")
    mirror.follower.prepare()
    with pytest.raises(MirrorMissing):
        mirror.mirror.status()
    cursor = mirror.catch_up()
    assert cursor.reorg_epoch > 1
    assert mirror.verify().holds
    assert len(mirror.mirror.reorgs()) == 1
