"""What takes no part in an auction is said of each book as if nothing were remembered from the one before."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from sqlmodel import Session, col, select

from backend.db import Database as MarketDatabase
from backend.jobs.tables import JobRow
from backend.leases.tables import LeaseIntention
from backend.matching import leaving
from backend.matching.snapshot import LeftOut, Snapshot
from backend.matching.tables import AuctionRow, BookEntryRow
from backend.offers.tables import OfferRow
from backend.submission.tables import IntentRow
from protocol.hashing import from_hex, to_hex
from protocol.wire.jobs import ENDED
from tests.support.databases import Database
from tests.support.migrated import migrate
from tests.support.published import DOMAIN, MATCHER

NOW = 1_800_000_000
NEXT_STATES = {
    "queued": ("matched", "expired", "canceled"),
    "matched": ("running", "queued"),
    "running": ("verifying", "succeeded", "failed"),
    "verifying": ("running", "succeeded"),
}
BOOK = Snapshot(
    domain=DOMAIN,
    matcher=MATCHER.address,
    min_notice=1,
    held_time=NOW,
    sequence_bound=1,
    offers=(),
    orders=(),
    order_signatures={},
    left_out=(),
)


@pytest.fixture
def db(tmp_path: Path, database: Database) -> Iterator[MarketDatabase]:
    found = MarketDatabase(database.mirror_url(tmp_path))
    migrate(found)
    yield found
    found.close()


def _asked_anew(session: Session, now: int, bound: int, taking_part: set[str]) -> list[LeftOut]:
    """The same by one look at each entry."""
    entries = session.exec(select(BookEntryRow)).all()
    found = []
    for entry in entries:
        is_here = entry.sequence < bound and entry.expiry_time > now and entry.left_in is None
        if not is_here or entry.hash in taking_part:
            continue
        job = session.exec(select(JobRow).where(JobRow.order_digest == entry.hash)).first()
        offer = session.get(OfferRow, entry.hash)
        if job is not None:
            why, for_good = f"its job is {job.state}", job.state in ENDED
        elif offer is not None and offer.withdrawn:
            why, for_good = "withdrawn, or refused by the ledger", True
        else:
            why = "provider silent, or cancelled on chain" if offer is not None else "gone"
            for_good = False
        found.append(LeftOut(digest=from_hex(entry.hash, 32), why=why, for_good=for_good))
    return found


class _Market:
    """Orders and offers to which things happen."""

    def __init__(self, db: MarketDatabase, seed: int) -> None:
        self.db, self.dice, self.bound = db, Random(seed), 1

    def goes_on(self) -> None:
        with self.db.write() as session:
            for _ in range(self.dice.randrange(6)):
                self._enter(session)
            for job in session.exec(select(JobRow)).all():
                if job.state in NEXT_STATES and self.dice.random() < 0.3:
                    job.state = self.dice.choice(NEXT_STATES[job.state])
            for offer in session.exec(select(OfferRow)).all():
                offer.withdrawn ^= self.dice.random() < 0.3
            for entry in session.exec(select(BookEntryRow)).all():
                if self.dice.random() < 0.1:
                    entry.left_in = None if entry.left_in else 1

    def _enter(self, session: Session) -> None:
        kind, key = self.dice.choice(("order", "order", "offer", "gone")), to_hex(self.dice.randbytes(32))
        session.add(
            BookEntryRow(
                sequence=self.bound,
                hash=key,
                kind="offer" if kind == "offer" else "order",
                received_time=NOW,
                expiry_time=NOW + self.dice.randrange(1, 30),
            )
        )
        self.bound += 1
        if kind == "order":
            session.add(_job(key))
        elif kind == "offer":
            session.add(_offer(key))

    def taking_part(self) -> set[str]:
        with self.db.read() as session:
            queued = session.exec(select(JobRow.order_digest).where(JobRow.state == "queued")).all()
            live = session.exec(select(OfferRow.digest).where(col(OfferRow.withdrawn).is_(False))).all()
        return {key for key in [*queued, *live] if self.dice.random() < 0.7}


def _job(key: str) -> JobRow:
    return JobRow(
        id=f"job_{key[2:22]}",
        key_id="key_1",
        buyer="0xB",
        job_hash=key,
        manifest="{}",
        order_digest=key,
        order_message="{}",
        order_signature="0x",
        state="queued",
        segments_total=1,
        created_ms=1,
    )


def _offer(key: str) -> OfferRow:
    return OfferRow(digest=key, provider="0xP", message="{}", signature="0x", expiry_time=NOW + 99, received_time=NOW)


@pytest.mark.parametrize("seed", range(3))
def test_the_book_is_the_same_to_the_byte_whatever_is_remembered(db: MarketDatabase, seed: int) -> None:
    market, absent = _Market(db, seed), leaving.Absent()
    seen = set()
    for turn in range(25):
        market.goes_on()
        taking_part, bound = market.taking_part(), market.dice.randint(max(1, market.bound - 2), market.bound)
        with db.read() as session:
            found = absent.now(session, NOW + turn, bound, taking_part)
            wanted = _asked_anew(session, NOW + turn, bound, taking_part)
        assert replace(BOOK, left_out=tuple(found)).text() == replace(BOOK, left_out=tuple(wanted)).text()
        seen |= {entry.why for entry in wanted}
    assert len(seen) >= 8


def test_a_job_that_has_ended_is_asked_about_once(db: MarketDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    plain = leaving._ask

    def counting(session: Session, statement: object, keys: list[str]) -> dict[str, str | bool]:
        asked.append(len(keys))
        return plain(session, statement, keys)  # type: ignore[arg-type]

    monkeypatch.setattr(leaving, "_ask", counting)
    market, absent = _Market(db, 1), leaving.Absent()
    with db.write() as session:
        for _ in range(20):
            market._enter(session)
        jobs = session.exec(select(JobRow)).all()
        for job in jobs:
            job.state = "succeeded"
    with db.read() as session:
        absent.now(session, NOW - 1, market.bound, set())
        first, asked[:] = sum(asked), []
        absent.now(session, NOW - 1, market.bound, set())
    assert (first, sum(asked)) == (20, 20 - len(jobs))


def test_it_is_known_which_auctions_are_settled_and_which_were_never_sent(db: MarketDatabase) -> None:
    opens = {
        1: ["done", "done"],
        2: ["dropped", "dropped"],
        3: ["done", "assigned"],
        4: ["dropped", "pending"],
        5: ["done", "dropped"],
        6: [],
        7: ["skipped", "done"],
    }
    with db.write() as session:
        for number, states in opens.items():
            leaving_ = f'["0x{number}"]'
            session.add(AuctionRow(id=number, root="0x", packed=b"", pairings=1, held_time=1, leaving=leaving_))
            for place, state in enumerate(states):
                _propose(session, number, place, state)
        session.add(AuctionRow(id=8, root="0x", packed=b"", pairings=1, held_time=1))
        _propose(session, 8, 0, "done")
    with db.read() as session:
        told = leaving.told(session)
    assert told.final == {1: ("0x1",), 5: ("0x5",)}
    assert told.void == [2, 6]
    assert told.digests == {"0x1", "0x3", "0x4", "0x5", "0x7"}


def _propose(session: Session, auction: int, place: int, state: str) -> None:
    lease = f"0x{auction}{place}"
    session.add(
        LeaseIntention(
            lease=lease,
            job_id=f"job_{lease}",
            fill=0,
            auction=auction,
            provider="0xP",
            offer_digest="0x",
            rate=1,
            state="proposed",
            proposed_time=1,
        )
    )
    session.add(IntentRow(kind="open", subject=lease, payload="{}", state=state, created_time=1))
    # Of another kind: it says nothing of the auction.
    session.add(IntentRow(kind="redeem", subject=lease, payload="{}", state="pending", created_time=1))
