"""What the ledger passed over: the order waits for somebody else, and an offer that is at fault leaves the book."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlmodel import select

from backend.db import Database
from backend.jobs.tables import JobRow, PassedOverRow
from backend.leases.tables import LeaseIntention
from backend.market import Market
from backend.offers.tables import OfferRow
from backend.operations.listening import Listening
from backend.settings import MarketSettings
from backend.submission import outcomes
from backend.submission.openings import Watch
from backend.submission.tables import IntentRow, TransactionRow
from indexer.queries import Holder
from protocol.events import Skip, Skipped
from protocol.hashing import Address, from_hex, to_hex
from protocol.messages import to_json
from tests.support.builders import make_manifest, make_order
from tests.support.migrated import migrate

LEASE, TX, OFFER, ORDER = (to_hex(bytes([number]) * 32) for number in (1, 2, 3, 4))


class SkippingMirror:
    """A mirror of a ledger that skipped the lease."""

    def __init__(self, reason: Skip) -> None:
        self._reason = reason

    @contextmanager
    def snapshot(self) -> Iterator["SkippingMirror"]:
        yield self

    finalized_number = 0

    def status(self) -> Any:
        final = self.finalized_number
        return SimpleNamespace(block_number=9, block_hash=bytes(32), block_time=1, finalized_number=final)

    def is_canonical(self, _block_hash: bytes) -> bool:
        return True

    def holders(self, _leases: Any) -> dict[bytes, Any]:
        return {}

    def leases_by_id(self, _leases: Any) -> dict[bytes, Any]:
        return {}

    def events(self, **_wanted: Any) -> list[Any]:
        return [SimpleNamespace(event=Skipped(id=from_hex(LEASE), reason=self._reason))]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """One job whose opening is mined in block 5."""
    found = Database(f"sqlite:///{tmp_path}/market.db")
    migrate(found)
    message = json.dumps(to_json(make_order()))
    with found.write() as session:
        session.add(
            JobRow(
                id="job_1",
                key_id="key_1",
                buyer="0x1",
                job_hash=ORDER,
                manifest=make_manifest().canonical().decode(),
                order_digest=ORDER,
                order_message=message,
                order_signature="0x",
                state="matched",
                wants_lease=False,
                segments_total=1,
                created_ms=1,
            )
        )
        session.add(
            LeaseIntention(
                lease=LEASE,
                job_id="job_1",
                fill=0,
                provider="0x2",
                offer_digest=OFFER,
                rate=1,
                state="proposed",
                proposed_time=1,
            )
        )
        session.add(
            OfferRow(digest=OFFER, provider="0x2", message="{}", signature="0x", expiry_time=2**40, received_time=1)
        )
        session.add(
            TransactionRow(
                id=1,
                sender="0x3",
                nonce=0,
                kind="open",
                gas=1,
                tx_hash=TX,
                state="MINED",
                created_time=1,
                mined_block=5,
                mined_hash=TX,
                succeeded=True,
            )
        )
        session.add(
            IntentRow(kind="open", subject=LEASE, payload="{}", state="assigned", transaction_id=1, created_time=1)
        )
    yield found
    found.close()


def _market(database: Database, mirror: Any) -> Any:
    return SimpleNamespace(
        db=database,
        mirror=mirror,
        openings=Watch(mirror),
        listening=Listening(database, 20, 600),
        settings=MarketSettings(),
    )


def _settle(database: Database, reason: Skip) -> tuple[JobRow, OfferRow]:
    mirror: Any = SkippingMirror(reason)
    market = _market(database, mirror)
    outcomes.settle(cast(Market, market))
    with database.read() as session:
        return session.get_one(JobRow, "job_1"), session.get_one(OfferRow, OFFER)


@pytest.mark.parametrize("reason", [Skip.OFFER_CANCELLED, Skip.OFFER_EXPIRED, Skip.PROVIDER_FUNDS])
def test_an_offer_at_fault_leaves_the_book_and_the_fill_waits_for_another(database: Database, reason: Skip) -> None:
    job, offer = _settle(database, reason)
    assert offer.withdrawn
    assert (job.state, job.wants_lease) == ("queued", True)


def test_a_provider_that_was_only_busy_keeps_its_offer(database: Database) -> None:
    job, offer = _settle(database, Skip.CAPACITY)
    assert not offer.withdrawn
    assert (job.state, job.wants_lease) == ("queued", True)


def test_who_lacks_one_orders_attestation_keeps_its_offer_and_never_gets_that_job(database: Database) -> None:
    job, offer = _settle(database, Skip.ATTESTATION)
    assert not offer.withdrawn
    assert (job.state, job.wants_lease) == ("queued", True)
    with database.read() as session:
        assert session.get(PassedOverRow, ("job_1", "0x2")) is not None


@pytest.mark.parametrize("reason", [Skip.BUYER_FUNDS, Skip.BUYER_GUARDED, Skip.ORDER_SIGNATURE])
def test_an_order_at_fault_fails_with_the_ledgers_word_and_costs_no_offer(database: Database, reason: Skip) -> None:
    job, offer = _settle(database, reason)
    assert not offer.withdrawn
    assert (job.state, job.failure) == ("failed", f"the ledger refused the order: {reason.name.lower()}")


class ReorgingMirror(SkippingMirror):
    """The lease is there, until a reorg takes it."""

    def __init__(self) -> None:
        super().__init__(Skip.CAPACITY)
        self.is_there, self.asked = True, 0

    def is_canonical(self, _block_hash: bytes) -> bool:
        # The block of the look before, and in the end the one that passed the lease over.
        return self.is_there or _block_hash == from_hex(TX)

    def holders(self, leases: Any) -> dict[bytes, Any]:
        self.asked += len(leases)
        return {from_hex(LEASE): Holder(Address("0x2"), 5)} if self.is_there else {}


def test_an_open_that_is_as_proposed_is_looked_at_again_only_after_a_reorg(database: Database) -> None:
    mirror = ReorgingMirror()
    made = _market(database, mirror)
    market = cast(Market, made)

    def state() -> tuple[str, str]:
        outcomes.settle(market)
        with database.read() as session:
            lease = session.get(LeaseIntention, LEASE)
            return session.exec(select(IntentRow.state)).one(), lease.state if lease else "gone"

    # Confirmed, and seen to be so; from then on nothing is asked.
    assert [state() for _ in range(4)] == [("assigned", "running")] * 4
    assert mirror.asked == 2
    mirror.is_there = False
    assert state() == ("skipped", "gone")


def test_an_open_whose_transaction_becomes_final_is_done_though_it_was_not_looked_at_for_long(
    database: Database,
) -> None:
    mirror = ReorgingMirror()
    mirror.finalized_number = 5
    made = _market(database, mirror)
    for _ in range(3):
        outcomes.settle(cast(Market, made))
    with database.write() as session:
        session.get_one(TransactionRow, 1).watched = False
    outcomes.settle(cast(Market, made))
    with database.read() as session:
        assert session.exec(select(IntentRow.state)).one() == "done"
