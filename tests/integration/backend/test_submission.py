"""Submission on a real node and on each database: fees, budgets, keys, and intents that cannot be sent."""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import col, select
from structlog.testing import capture_logs

from backend.jobs.tables import JobRow
from backend.leases.tables import LeaseIntention
from backend.leases.vouchers import highest_voucher, voucher_of
from backend.lock import alone
from backend.matching import auction
from backend.offers.tables import OfferRow
from backend.submission import intents, outcomes, senders, store
from backend.submission.allowed import require_allowed
from backend.submission.errors import CallNotAllowed
from backend.submission.tables import AttemptRow, IntentRow, SignedBytesRow, TransactionRow
from protocol.calls import selector, sign_transaction
from protocol.hashing import ZERO_ADDRESS
from tests.faults.submission_market import serve
from tests.support.anvil import MATCHER, running_anvil
from tests.support.databases import SQLITE, Database
from tests.support.ledger_world import LedgerWorld
from tests.support.submission_world import SETTLEMENT, SubmissionWorld
from tests.support.waiting import wait_until

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def ledger() -> Iterator[LedgerWorld]:
    with running_anvil() as node:
        world = LedgerWorld.deploy(node)
        yield world


@pytest.fixture
def database() -> Database:
    return SQLITE


class Here:
    """A market whose steps a test takes itself."""

    def __init__(self, folder: Path, ledger: LedgerWorld, database: Database, **settings: str) -> None:
        market_url = database.mirror_url(folder / "market")
        (folder / "market").mkdir()
        settings = {"GRIDLEASE_MARKET_URL": market_url, "GRIDLEASE_REDEEM_WAIT_SECONDS": "0", **settings}
        self.world = SubmissionWorld(folder, ledger, ledger.rpc.url, **settings)
        self.market, self.node = self.world.market, ledger.node
        ledger.rpc.call("evm_setAutomine", True)

    def match(self, count: int = 1) -> None:
        """Leases are proposed, and nothing is sent."""
        self.world.queue_jobs(count)
        serve(self.market)
        assert auction.hold(self.market) == count

    def send(self) -> int:
        return senders.send_pending(self.market)

    def follow(self) -> None:
        senders.follow(self.market)
        self.world.followed.catch_up()
        outcomes.settle(self.market)

    def rows(self, kind: Any) -> list[Any]:
        with self.market.db.read() as session:
            return list(session.exec(select(kind).order_by(col(kind.id))).all())

    def wait_for_the_last_word(self) -> None:
        """The mirror asks every two seconds what is final."""

        def is_said() -> bool:
            self.follow()
            return {row.state for row in self.rows(IntentRow)} == {"done"}

        wait_until(is_said)

    def leases(self) -> list[str]:
        with self.market.db.read() as session:
            return list(session.exec(select(LeaseIntention.state)).all())

    def counts(self) -> dict[str, int]:
        with self.market.db.read() as session:
            return {state: count for state, count in store.count_by_state(session).items() if count}

    def older(self, seconds: int) -> None:
        """As if all attempts had been signed so long ago."""
        with self.market.db.write() as session:
            for attempt in session.exec(select(AttemptRow)).all():
                attempt.signed_time -= seconds
                session.add(attempt)


@pytest.fixture
def here(tmp_path: Path, ledger: LedgerWorld, database: Database) -> Iterator[Here]:
    found = Here(tmp_path, ledger, database)
    yield found
    found.world.close()


def test_a_lease_is_opened_and_its_transaction_becomes_final_at_its_depth(here: Here) -> None:
    here.match()
    assert here.counts() == {"UNSENT": 1}
    assert here.send() == 1
    assert here.counts() == {"SENT": 1}
    here.follow()
    assert here.counts() == {"MINED": 1}
    assert [row.state for row in here.rows(IntentRow)] == ["assigned"]
    here.node.mine(70)
    here.follow()
    assert here.counts() == {"FINAL": 1}
    here.wait_for_the_last_word()
    assert here.rows(TransactionRow)[0].fee_gwei_up > 0


def test_what_a_block_did_with_many_transactions_is_stored_at_once(here: Here) -> None:
    here.world.ledger.rpc.call("evm_setAutomine", False)
    for _ in range(3):
        here.match()
        here.send()
    here.node.mine(1)
    here.world.ledger.rpc.call("evm_setAutomine", True)
    committed = list[object]()
    event.listen(here.market.db.sessions, "after_commit", committed.append)
    senders.follow(here.market)
    assert here.counts() == {"MINED": 3}
    assert len(committed) == 1


def test_a_stuck_transaction_is_replaced_until_the_cap_and_then_cancelled_and_sent_anew(
    tmp_path: Path, ledger: LedgerWorld, database: Database
) -> None:
    here = Here(tmp_path, ledger, database, GRIDLEASE_MAX_ATTEMPTS="2")
    rpc = ledger.rpc
    rpc.call("evm_setAutomine", False)
    try:
        here.match()
        assert here.send() == 1
        dropped = here.rows(AttemptRow)[0].tx_hash
        rpc.call("anvil_dropTransaction", dropped)
        here.node.mine(2)
        here.older(5)
        here.follow()
        first, second = here.rows(AttemptRow)
        assert 100 * second.max_fee_wei >= 115 * first.max_fee_wei
        assert 100 * second.priority_fee_wei >= 115 * first.priority_fee_wei
        rpc.call("anvil_dropTransaction", second.tx_hash)
        here.node.mine(2)
        here.older(5)
        here.follow()
        assert [row.is_cancel for row in here.rows(AttemptRow)] == [False, False, True]
        here.node.mine()
        here.follow()
        assert here.counts() == {"UNSENT": 1, "MINED": 1}
        assert here.send() == 1
        here.node.mine()
        here.follow()
        here.node.mine(70)
        here.follow()
        assert here.counts() == {"CANCELLED": 1, "FINAL": 1}
        here.wait_for_the_last_word()
    finally:
        rpc.call("evm_setAutomine", True)
        here.world.close()


def test_a_foreign_transaction_takes_the_nonce_and_nothing_is_lost(
    tmp_path: Path, ledger: LedgerWorld, database: Database
) -> None:
    here = Here(tmp_path, ledger, database)
    ledger.rpc.call("evm_setAutomine", False)
    try:
        here.match()
        assert here.send() == 1
        ledger.rpc.call("anvil_dropTransaction", here.rows(AttemptRow)[0].tx_hash)
        here.world.foreign_transaction(MATCHER, Random(1))
        here.node.mine()
        here.follow()
        with here.market.db.write() as session:
            row = session.exec(select(TransactionRow)).one()
            assert row.missing_since_time is not None
            row.missing_since_time -= 60
            session.add(row)
        with capture_logs() as logs:
            here.follow()
        assert [line["event"] for line in logs if line["log_level"] == "error"] == ["transaction.displaced"]
        assert here.counts() == {"UNSENT": 1, "DISPLACED": 1}
        assert here.send() == 1
        here.node.mine()
        here.follow()
        assert here.counts() == {"MINED": 1, "DISPLACED": 1}
        assert here.leases() == ["running"]
    finally:
        ledger.rpc.call("evm_setAutomine", True)
        here.world.close()


class TestPause:
    def test_the_days_gas_budget_holds_everything_back_and_says_what_it_is(
        self, tmp_path: Path, ledger: LedgerWorld, database: Database
    ) -> None:
        here = Here(tmp_path, ledger, database, GRIDLEASE_GAS_BUDGET_WEI="1000")
        here.match()
        with capture_logs() as logs:
            assert here.send() == 0
        (paused,) = [line for line in logs if line["event"] == "sender.paused"]
        assert paused["code"] == "gas_budget_spent"
        assert "1000 wei" in paused["reason"]
        assert here.counts() == {"UNSENT": 1}
        here.world.close()

    def test_a_key_without_coin_takes_no_nonce_and_goes_on_when_it_has_some(self, here: Here) -> None:
        rpc = here.world.ledger.rpc
        balance = rpc.call("eth_getBalance", MATCHER.address, "latest")
        here.match()
        rpc.call("anvil_setBalance", MATCHER.address, "0x1")
        with capture_logs() as logs:
            assert here.send() == 0
        assert [line["code"] for line in logs if line["event"] == "sender.paused"] == ["key_unfunded"]
        rpc.call("anvil_setBalance", MATCHER.address, balance)
        assert here.send() == 1

    def test_a_base_fee_over_the_cap_waits(self, tmp_path: Path, ledger: LedgerWorld, database: Database) -> None:
        cap = {"GRIDLEASE_FEE_CAP_WEI": "2", "GRIDLEASE_PRIORITY_FEE_WEI": "1"}
        here = Here(tmp_path, ledger, database, **cap)
        here.match()
        with capture_logs() as logs:
            assert here.send() == 0
        assert [line["code"] for line in logs if line["event"] == "sender.paused"] == ["gas_too_dear"]
        here.world.close()


class TestKeys:
    def test_each_key_sends_what_is_its_own_with_its_own_nonces(self, here: Here) -> None:
        here.match()
        here.send()
        here.follow()
        serve(here.market)
        with here.market.db.write() as session:
            intention = session.exec(select(LeaseIntention)).one()
            row = highest_voucher(session, intention)
            assert row is not None
            signed = voucher_of(row)
            assert signed is not None
            intents.add(session, "redeem", intention.lease, signed.model_dump())
        assert here.send() == 1
        here.follow()
        assert [(row.kind, row.sender) for row in here.rows(TransactionRow)] == [
            ("open", MATCHER.address),
            ("redeem", SETTLEMENT.address),
        ]
        assert [row.state for row in here.rows(IntentRow)] == ["assigned", "done"]

    def test_a_key_that_another_process_uses_is_left_to_it(self, here: Here) -> None:
        here.match()
        with alone(here.market.db, f"key.{MATCHER.address}") as mine:
            assert mine
            assert here.send() == 0
        assert here.send() == 1

    def test_no_other_call_is_signed(self) -> None:
        ledger = MATCHER.address
        require_allowed(ledger, SETTLEMENT.address, ledger, selector("ComputeLedger", "redeem"))
        require_allowed(ledger, SETTLEMENT.address, SETTLEMENT.address, b"")
        for to, data in [
            (ledger, selector("ComputeLedger", "withdraw")),
            (ledger, b""),
            (SETTLEMENT.address, b"\x01"),
            (ZERO_ADDRESS, selector("ComputeLedger", "redeem")),
        ]:
            with pytest.raises(CallNotAllowed):
                require_allowed(ledger, SETTLEMENT.address, to, data)

    def test_calldata_that_was_changed_in_the_database_is_not_signed_again(self, here: Here) -> None:
        here.world.ledger.rpc.call("evm_setAutomine", False)
        here.match()
        here.send()
        here.node.rpc.call("anvil_dropTransaction", here.rows(AttemptRow)[0].tx_hash)
        with here.market.db.write() as session:
            row = session.exec(select(SignedBytesRow)).one()
            row.raw = _withdrawal()
            session.add(row)
        here.node.mine(2)
        here.older(5)
        with capture_logs() as logs:
            here.follow()
        assert "transaction.refused" in [line["event"] for line in logs]
        assert len(here.rows(AttemptRow)) == 1
        here.world.ledger.rpc.call("evm_setAutomine", True)


def _withdrawal() -> bytes:
    """A transaction that this market never makes."""
    raw, _ = sign_transaction(
        SETTLEMENT,
        chain_id=31337,
        nonce=0,
        to=MATCHER.address,
        data=selector("ComputeLedger", "withdraw"),
        gas=10**6,
        max_fee_wei=1,
        priority_fee_wei=1,
    )
    return raw


class TestBadIntent:
    def test_one_that_cannot_be_sent_holds_up_no_other_and_its_job_waits_for_another_offer(self, here: Here) -> None:
        here.match(5)
        with here.market.db.write() as session:
            broken = session.exec(select(LeaseIntention)).all()[3]
            job = session.get_one(JobRow, broken.job_id)
            job.order_signature = "0x12zz"
            session.add(job)
        assert here.send() >= 1
        here.follow()
        assert sorted(row.state for row in here.rows(IntentRow)) == ["assigned"] * 4 + ["dropped"]
        with here.market.db.read() as session:
            assert session.get_one(JobRow, broken.job_id).state == "queued"
            assert session.get_one(OfferRow, broken.offer_digest).withdrawn

    def test_a_finalise_before_its_time_is_dropped_and_costs_nothing(self, here: Here) -> None:
        here.match()
        here.send()
        here.follow()
        with here.market.db.write() as session:
            intents.add(session, "finalise", session.exec(select(LeaseIntention)).one().lease, {})
        assert here.send() == 0
        dropped = here.rows(IntentRow)[-1]
        assert dropped.state == "dropped"
        assert json.dumps(dropped.note)
        assert len(here.rows(TransactionRow)) == 1


def test_an_intent_that_was_done_in_a_block_that_is_gone_comes_back_with_its_transaction(here: Here) -> None:
    here.match()
    here.send()
    here.follow()
    assert here.leases() == ["running"]
    with here.market.db.write() as session:
        row = session.exec(select(TransactionRow)).one()
        released = store._release(session, row.id or 0)
    assert released == 1
    assert [row.state for row in here.rows(IntentRow)] == ["pending"]
