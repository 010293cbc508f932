"""What the ledger passed over: the order waits for somebody else, and an offer that is at fault leaves the book."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from backend.db import Database
from backend.jobs.tables import JobRow, PassedOverRow
from backend.leases.tables import LeaseIntention
from backend.market import Market
from backend.offers.tables import OfferRow
from backend.settings import MarketSettings
from backend.submission import outcomes
from backend.submission.openings import Watch
from backend.submission.tables import IntentRow, TransactionRow
from protocol.events import Skip, Skipped
from protocol.hashing import from_hex, to_hex
from protocol.messages import to_json
from tests.support.builders import make_manifest, make_order

LEASE, TX, OFFER, ORDER = (to_hex(bytes([number]) * 32) for number in (1, 2, 3, 4))


class SkippingMirror:
    """A mirror of a ledger that skipped the lease."""

    def __init__(self, reason: Skip) -> None:
        self._reason = reason

    @contextmanager
    def snapshot(self) -> Iterator["SkippingMirror"]:
        yield self

    def status(self) -> Any:
        return SimpleNamespace(block_number=9, block_hash=bytes(32), block_time=1, finalized_number=0)

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
    found.migrate()
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
                data="0x",
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


def _settle(database: Database, reason: Skip) -> tuple[JobRow, OfferRow]:
    mirror: Any = SkippingMirror(reason)
    market = SimpleNamespace(db=database, mirror=mirror, openings=Watch(mirror), settings=MarketSettings())
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
