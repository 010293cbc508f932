"""What the market keeps of an auction: numbered receipts, the book that decided, and its root in the transaction."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlmodel import Session, col, select

from backend.accounts.service import Principal
from backend.db import Database
from backend.jobs.tables import JobRow
from backend.leases.onchain import LeasesOnChain
from backend.leases.tables import LeaseIntention
from backend.market import Market
from backend.matching import auction, leaving, receipts
from backend.matching.audit import HeldReceipt, Outcome, audit
from backend.matching.book import BookOrder
from backend.matching.snapshot import Snapshot
from backend.matching.tables import AuctionRow, BookEntryRow
from backend.matching.waiting import chosen_of, waiting
from backend.offers import service as offers
from backend.offers.live import LiveBook
from backend.operations.listening import Listening
from backend.settings import MarketSettings
from backend.submission import batches, intents
from backend.submission.tables import IntentRow
from protocol.clock import now_time
from protocol.events import EndReason, LeaseState
from protocol.hashing import from_hex, to_hex
from protocol.messages import digest, from_json, sign, to_json
from protocol.terms import BookReceipt, Offer, Order
from tests.support.builders import make_manifest, make_offer, make_order
from tests.support.migrated import migrate
from tests.support.published import DOMAIN, MATCHER, key_of

#: one for all: the same message again must be the same a second later
EXPIRY_TIME = now_time() + 86_400


class EmptyMirror:
    """A ledger on which nothing has happened, but for the leases that a test puts there."""

    def __init__(self) -> None:
        self.leases: dict[bytes, Any] = {}

    def account(self, _address: str) -> Any:
        return SimpleNamespace(epoch=0)

    def accounts(self, addresses: Any) -> dict[str, Any]:
        return {address: SimpleNamespace(epoch=0, open_leases=0) for address in addresses}

    def cancelled(self, _wanted: Any) -> set[Any]:
        return set()

    def leases_by_id(self, leases: Any) -> dict[bytes, Any]:
        return {lease: self.leases[lease] for lease in leases if lease in self.leases}

    def status(self) -> Any:
        return SimpleNamespace(block_time=1, event_count=0, block_hash=bytes(32))

    @contextmanager
    def snapshot(self) -> Iterator["EmptyMirror"]:
        yield self

    def is_canonical(self, _block_hash: bytes) -> bool:
        # What a test puts there comes without an event.
        return False


@pytest.fixture
def market(tmp_path: Path) -> Iterator[Market]:
    database = Database(f"sqlite:///{tmp_path}/market.db")
    migrate(database)
    mirror: Any = EmptyMirror()
    listening = Listening(database, 60, 600)
    yield cast(
        Market,
        SimpleNamespace(
            db=database,
            mirror=mirror,
            live_book=LiveBook(mirror, listening, 60),
            leases_on_chain=LeasesOnChain(mirror),
            listening=listening,
            offer_index=None,
            absent=leaving.Absent(),
            domain=DOMAIN,
            submission_key=MATCHER,
            deployment=SimpleNamespace(min_notice=10),
            settings=MarketSettings(silence_seconds=60),
        ),
    )
    database.close()


def _post(session: Session, market: Market, name: str, **terms: Any) -> Offer:
    key = key_of(name)
    offer = make_offer(provider=key.address, expiry=EXPIRY_TIME, **terms)
    caller = cast(Principal, SimpleNamespace(address=key.address))
    offers.post_offer(session, market, caller, to_json(offer), to_hex(sign(DOMAIN, offer, key)))
    return offer


def _queue(session: Session, market: Market, number: int, **terms: Any) -> Order:
    order = make_order(salt=number, expiry=EXPIRY_TIME, **terms)
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
        assert auction.hold(market) == 1
        with market.db.write() as session:
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

    def test_its_book_tells_of_what_left_for_good_until_one_that_told_is_final(self, market: Market) -> None:
        with market.db.write() as session:
            for name in ("one", "two"):
                _post(session, market, name, capacity=9)
            gone = _post(session, market, "gone")
        withdrawn, owner = to_hex(digest(DOMAIN, gone)), cast(Principal, SimpleNamespace(address=gone.provider))

        def told(number: int) -> list[str]:
            with market.db.write() as session:
                _queue(session, market, number)
            assert auction.hold(market) == 1
            with market.db.read() as session:
                row = session.exec(select(AuctionRow).where(AuctionRow.id == number)).one()
                return [to_hex(entry.digest) for entry in Snapshot.parse(row.snapshot).left_out if entry.for_good]

        def end(number: int, state: str) -> None:
            """What became of the auction's open."""
            with market.db.write() as session:
                lease = session.exec(select(LeaseIntention.lease).where(LeaseIntention.auction == number)).one()
                session.exec(select(IntentRow).where(IntentRow.subject == lease)).one().state = state

        def left_in() -> int | None:
            with market.db.read() as session:
                return session.exec(select(BookEntryRow.left_in).where(BookEntryRow.hash == withdrawn)).one()

        def kept() -> list[str]:
            with market.db.read() as session:
                return list(session.exec(select(AuctionRow.leaving).order_by(col(AuctionRow.id))))

        assert told(1) == []
        with market.db.write() as session:
            offers.withdraw_offer(session, owner, withdrawn)
        assert told(2) == [withdrawn]
        end(2, "dropped")
        # It was never sent, so it told nobody; the next one is on its way.
        assert told(3) == [withdrawn]
        assert told(4) == [withdrawn]
        assert kept() == ["", "", json.dumps([withdrawn]), ""], "it is noted once, for the first that told of it"
        end(3, "done")
        # What is settled in an auction counts from the next.
        assert told(5) == [withdrawn]
        assert (told(6), left_in()) == ([], 3)
        with market.db.write() as session:
            _post(session, market, "gone")
        assert left_in() is None
        with market.db.write() as session:
            offers.withdraw_offer(session, owner, withdrawn)
        assert told(7) == [withdrawn]

    def test_what_came_back_before_its_leaving_was_final_has_not_left(self, market: Market) -> None:
        with market.db.write() as session:
            _post(session, market, "one", capacity=9)
            gone = _post(session, market, "gone")
            _queue(session, market, 1)
            owner = cast(Principal, SimpleNamespace(address=gone.provider))
            offers.withdraw_offer(session, owner, to_hex(digest(DOMAIN, gone)))
        assert auction.hold(market) == 1
        with market.db.write() as session:
            _post(session, market, "gone")
            session.exec(select(IntentRow)).one().state = "done"
        with market.db.write() as session:
            leaving.settle(session, leaving.told(session))
        with market.db.read() as session:
            assert session.exec(select(AuctionRow.leaving)).one() == ""
            assert set(session.exec(select(BookEntryRow.left_in))) == {None}

    def test_one_that_matches_nothing_is_not_kept(self, market: Market) -> None:
        with market.db.write() as session:
            _queue(session, market, 1)
        assert auction.hold(market) == 0
        with market.db.read() as session:
            assert session.exec(select(AuctionRow)).all() == []

    def test_a_transaction_carries_the_leases_of_one_auction_and_its_root(self, market: Market) -> None:
        with market.db.write() as session:
            _post(session, market, "one", capacity=9)
        for number in (1, 2):
            with market.db.write() as session:
                _queue(session, market, number)
            assert auction.hold(market) == 1
        with market.db.read() as session:
            roots = [row.root for row in session.exec(select(AuctionRow).order_by(AuctionRow.id))]  # type: ignore[arg-type]
            batch = batches.due(session, "open", now_time(), 0)
            assert len(batch) == 1
            assert len(session.exec(select(IntentRow)).all()) == 2
            assert roots[0] != roots[1]
            assert intents.calldata(session, market, "open", batch)[4 + 64 : 4 + 96] == from_hex(roots[0], 32)


class TestReplicas:
    """Three replicas in three zones, and what an auction is told of them later."""

    @pytest.fixture
    def opened(self, market: Market) -> Order:
        """An order whose three leases are on chain; a fourth and a fifth provider have offers as well."""
        with market.db.write() as session:
            for number in range(1, 6):
                _post(session, market, f"{number}", zone=number, rate=number)
            order = _queue(session, market, 1, replicas=3, max_leases=9, distinct_zones=True)
        assert auction.hold(market) == 3
        with market.db.read() as session:
            for row in session.exec(select(LeaseIntention)):
                self._put(market, row, LeaseState.OPEN)
        return order

    def _put(self, market: Market, row: LeaseIntention, state: LeaseState, **changes: Any) -> None:
        plain = {
            "provider": row.provider,
            "fill": row.fill,
            "state": state,
            "rate": row.rate,
            "zone": row.zone,
            "locked_base": 1,
            "paid_base": 0,
            "deadline_time": EXPIRY_TIME,
            "closed_block": 1 if state is LeaseState.CLOSED else None,
            "reason": EndReason.NONE,
            "done": False,
        }
        leases = cast(EmptyMirror, market.mirror).leases
        leases[from_hex(row.lease, 32)] = SimpleNamespace(**plain | changes)

    def _end(self, market: Market, state: LeaseState, **changes: Any) -> LeaseIntention:
        """The second lane's lease is given up and, on chain, is in that state."""
        with market.db.write() as session:
            row = session.exec(select(LeaseIntention).where(LeaseIntention.fill == 1)).one()
            row.state, row.ended_time = "ended", now_time()
            row.caught = changes.pop("caught", False)
            self._put(market, row, state, **changes)
            job = session.exec(select(JobRow)).one()
            job.wants_lease = True
            session.add(row)
            session.add(job)
        return row

    def _wanted(self, market: Market) -> list[BookOrder]:
        with market.db.read() as session:
            return [entry for entry, _ in waiting(session, market).orders]

    def test_all_are_proposed_together_each_in_its_zone_and_then_none_is_wanted(
        self, market: Market, opened: Order
    ) -> None:
        with market.db.read() as session:
            rows = session.exec(select(LeaseIntention)).all()
            assert sorted((row.fill, row.zone) for row in rows) == [(0, 1), (1, 2), (2, 3)]
            job = session.exec(select(JobRow)).one()
            assert (job.state, job.wants_lease) == ("matched", False)
        assert self._wanted(market) == []

    def test_nothing_is_opened_unless_all_can_be(self, market: Market) -> None:
        with market.db.write() as session:
            for number in (1, 2):
                _post(session, market, f"{number}", zone=number)
            _queue(session, market, 1, replicas=3, max_leases=9, distinct_zones=True)
        assert auction.hold(market) == 0
        with market.db.read() as session:
            assert session.exec(select(LeaseIntention)).all() == []

    def test_a_lane_waits_for_its_lease_to_end_on_chain(self, market: Market, opened: Order) -> None:
        self._end(market, LeaseState.OPEN)
        assert self._wanted(market) == []

    def test_its_next_fill_is_wanted_beside_the_others_and_in_none_of_their_zones(
        self, market: Market, opened: Order
    ) -> None:
        row = self._end(market, LeaseState.CLOSING)
        (entry,) = self._wanted(market)
        others = {key_of(name).address for name in ("1", "3")}
        assert entry.fills == (4,)
        assert entry.serving == others
        assert entry.tried == others | {row.provider}
        assert entry.held_zones == {1, 2, 3}
        assert auction.hold(market) == 1
        with market.db.read() as session:
            again = session.exec(select(LeaseIntention).where(LeaseIntention.fill == 4)).one()
            assert (again.provider, again.zone) == (key_of("4").address, 4)

    def test_the_predecessors_zone_stays_held_when_it_is_closed(self, market: Market, opened: Order) -> None:
        self._end(market, LeaseState.CLOSED)
        assert self._wanted(market)[0].held_zones == {1, 2, 3}

    def test_who_was_caught_never_gets_another_fill(self, market: Market, opened: Order) -> None:
        row = self._end(market, LeaseState.CLOSED, caught=True)
        assert row.provider in self._wanted(market)[0].serving

    def test_a_lane_that_is_done_on_chain_is_not_let_again(self, market: Market, opened: Order) -> None:
        self._end(market, LeaseState.CLOSED, done=True)
        assert self._wanted(market) == []

    def test_a_lane_waits_for_the_money_that_its_ended_lease_still_locks(self, market: Market, opened: Order) -> None:
        self._end(market, LeaseState.CLOSING, locked_base=opened.budget)
        assert self._wanted(market) == []
        self._end(market, LeaseState.CLOSED, locked_base=opened.budget, paid_base=opened.budget - 1)
        assert [entry.fills for entry in self._wanted(market)] == [(4,)]

    def test_orders_that_wait_for_their_own_leases_end_keep_no_other_out(
        self, market: Market, opened: Order, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("backend.matching.waiting.MAX_ORDERS", 1)
        self._end(market, LeaseState.OPEN)
        with market.db.write() as session:
            newer = _queue(session, market, 2)
        assert [entry.digest for entry in self._wanted(market)] == [digest(DOMAIN, newer)]


class TestMoreThanOneAuctionHolds:
    def test_fewer_all_take_part(self) -> None:
        assert chosen_of(["a", "b"], 2) == ["a", "b"]

    def test_the_oldest_always_do_and_the_others_in_turn_by_chance(self) -> None:
        jobs = [f"job_{number}" for number in range(12)]
        seen: set[str] = set()
        for _ in range(200):
            chosen = chosen_of(jobs, 4)
            assert chosen[:2] == jobs[:2]
            assert len(set(chosen)) == 4
            seen |= set(chosen)
        assert seen == set(jobs)

    def test_orders_that_no_offer_meets_keep_no_later_one_out_for_ever(
        self, market: Market, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("backend.matching.waiting.MAX_ORDERS", 4)
        with market.db.write() as session:
            _post(session, market, "1", rate=5)
            for number in range(1, 9):
                _queue(session, market, number, max_rate=1)
            _queue(session, market, 9)
        assert any(auction.hold(market) == 1 for _ in range(200))
