"""What the market keeps of an auction: numbered receipts, the book that decided, and its root in the transaction."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlmodel import Session, select

from backend.accounts.service import Principal
from backend.db import Database
from backend.jobs.tables import JobRow
from backend.leases.tables import LeaseIntention
from backend.market import Market
from backend.matching import auction, receipts
from backend.matching.audit import HeldReceipt, Outcome, audit
from backend.matching.snapshot import Snapshot
from backend.matching.tables import AuctionRow
from backend.offers import service as offers
from backend.offers.live import LiveBook
from backend.settings import MarketSettings
from backend.submission import batches, intents
from backend.submission.tables import IntentRow
from protocol.clock import now_time
from protocol.hashing import from_hex, to_hex
from protocol.messages import digest, from_json, sign, to_json
from protocol.terms import BookReceipt, Offer, Order
from tests.support.builders import make_manifest, make_offer, make_order
from tests.support.published import DOMAIN, MATCHER, key_of

#: one for all: the same message again must be the same a second later
EXPIRY_TIME = now_time() + 86_400


class EmptyMirror:
    """A ledger on which nothing has happened."""

    def account(self, _address: str) -> Any:
        return SimpleNamespace(epoch=0)

    def accounts(self, addresses: Any) -> dict[str, Any]:
        return {address: SimpleNamespace(epoch=0, open_leases=0) for address in addresses}

    def cancelled(self, _wanted: Any) -> set[Any]:
        return set()

    def leases_by_id(self, _leases: Any) -> dict[bytes, Any]:
        return {}

    def status(self) -> Any:
        return SimpleNamespace(block_time=1)


@pytest.fixture
def market(tmp_path: Path) -> Iterator[Market]:
    database = Database(f"sqlite:///{tmp_path}/market.db")
    database.migrate()
    mirror: Any = EmptyMirror()
    yield cast(
        Market,
        SimpleNamespace(
            db=database,
            mirror=mirror,
            live_book=LiveBook(mirror, 60),
            domain=DOMAIN,
            submission_key=MATCHER,
            deployment=SimpleNamespace(min_notice=10),
            settings=MarketSettings(provider_silence_seconds=60),
        ),
    )
    database.close()


def _post(session: Session, market: Market, name: str, **terms: Any) -> Offer:
    key = key_of(name)
    offer = make_offer(provider=key.address, expiry=EXPIRY_TIME, **terms)
    caller = cast(Principal, SimpleNamespace(address=key.address))
    offers.post_offer(session, market, caller, to_json(offer), to_hex(sign(DOMAIN, offer, key)))
    return offer


def _queue(session: Session, market: Market, number: int) -> Order:
    order = make_order(salt=number, expiry=EXPIRY_TIME)
    receipts.enter(session, market, order)
    session.add(
        JobRow(
            id=f"job_{number}",
            key_id="key_1",
            buyer=order.buyer,
            job_hash=to_hex(order.job),
            manifest=make_manifest().canonical().decode(),
            order_digest=to_hex(digest(DOMAIN, order)),
            order_message=json.dumps(to_json(order)),
            order_signature="0x" + "00" * 65,
            state="queued",
            segments_total=1,
            created_ms=number,
        )
    )
    return order


def _held(session: Session, market: Market, message: Offer | Order) -> HeldReceipt:
    found = receipts.signed(session, market, message)
    assert found is not None
    return HeldReceipt(
        receipt=from_json(BookReceipt, found.receipt), signature=from_hex(found.signature, 65), message=message
    )


class TestBookReceipt:
    def test_each_has_the_next_number_and_the_same_again_keeps_it(self, market: Market) -> None:
        with market.db.write() as session:
            first, second = _post(session, market, "one"), _post(session, market, "two")
            order = _queue(session, market, 1)
            _post(session, market, "one")
            sequences = [_held(session, market, message).receipt.sequence for message in (first, second, order)]
            assert sequences == [1, 2, 3]
            assert receipts.bound(session) == 4
            _held(session, market, first).require(DOMAIN)

    def test_one_that_is_rolled_back_leaves_no_gap(self, market: Market) -> None:
        def fails() -> None:
            with market.db.write() as session:
                _post(session, market, "one")
                raise KeyError

        with pytest.raises(KeyError):
            fails()
        with market.db.write() as session:
            assert _held(session, market, _post(session, market, "two")).receipt.sequence == 1


class TestAuction:
    def test_its_book_is_kept_and_audits_clean(self, market: Market) -> None:
        with market.db.write() as session:
            cheap, dear = _post(session, market, "one", rate=1), _post(session, market, "two", rate=2)
            silent = _post(session, market, "three", rate=1)
            offers.withdraw_offer(
                session, cast(Principal, SimpleNamespace(address=silent.provider)), to_hex(digest(DOMAIN, silent))
            )
            order = _queue(session, market, 1)
            assert auction.hold(session, market) == 1
            row = session.exec(select(AuctionRow)).one()
            snapshot = Snapshot.parse(row.snapshot)
            assert row.root == to_hex(snapshot.root())
            assert [entry.why for entry in snapshot.left_out] == ["withdrawn, or refused by the ledger"]
            assert snapshot.sequence_bound == 5
            held = [_held(session, market, message) for message in (cheap, dear, silent, order)]
            assert audit(snapshot, None, held) == []
            intention = session.exec(select(LeaseIntention)).one()
            assert intention.offer_digest == to_hex(digest(DOMAIN, cheap))
            dropped = replace(snapshot, offers=snapshot.offers[1:], left_out=())
            assert len(audit(dropped, Outcome(roots=frozenset({dropped.root()}), opened=()), held)) >= 2

    def test_one_that_matches_nothing_is_not_kept(self, market: Market) -> None:
        with market.db.write() as session:
            _queue(session, market, 1)
            assert auction.hold(session, market) == 0
            assert session.exec(select(AuctionRow)).all() == []

    def test_a_transaction_carries_the_leases_of_one_auction_and_its_root(self, market: Market) -> None:
        with market.db.write() as session:
            _post(session, market, "one", capacity=9)
            for number in (1, 2):
                _queue(session, market, number)
                assert auction.hold(session, market) == 1
            roots = [row.root for row in session.exec(select(AuctionRow).order_by(AuctionRow.id))]  # type: ignore[arg-type]
            batch = batches.due(session, "open", now_time(), 0)
            assert len(batch) == 1
            assert len(session.exec(select(IntentRow)).all()) == 2
            assert roots[0] != roots[1]
            assert intents.calldata(session, market, "open", batch)[4 + 64 : 4 + 96] == from_hex(roots[0], 32)
