"""Claims, disputes and rulings on a real node: the money is where SPEC says, and the mirror folds it to the unit."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.errors import TransactionReverted
from protocol.events import EndReason, LeaseState
from tests.integration.indexer.conftest import Followed
from tests.support.anvil import Anvil
from tests.support.ledger_world import DOLLAR, Leased, LedgerWorld
from tests.support.slow_path import ARBITER_SECONDS, BOND, MIN_CHARGE, WINDOW_SECONDS, SlowPath

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
def mirror(tmp_path: Path, slow: SlowPath) -> Iterator[Followed]:
    followed = Followed(tmp_path, slow.world.deployment, slow.world.rpc)
    yield followed
    followed.close()


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
    mirror.catch_up()
    assert mirror.verify().holds
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
    mirror.catch_up()
    assert mirror.verify().holds


def test_a_beneficiary_keeps_the_money_from_a_stolen_operator_key(slow: SlowPath, mirror: Followed) -> None:
    provider, safe = slow.world.providers[0], slow.world.matcher
    slow.send(provider, "setBeneficiary", provider.address, safe.address)
    with pytest.raises(TransactionReverted, match="NotController"):
        slow.send(provider, "withdraw", provider.address, provider.address, 1)
    with pytest.raises(TransactionReverted, match="NotController"):
        slow.send(provider, "setBeneficiary", provider.address, provider.address)
    slow.send(safe, "withdraw", provider.address, safe.address, DOLLAR)
    mirror.catch_up()
    assert mirror.verify().holds
    assert slow.free(provider.address) == 9 * DOLLAR
