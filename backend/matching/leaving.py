"""What takes no part in an auction: its book says so, with the reason.

What left for good is told of in each book until one that told of it is final on chain, and then no more: else each book
would be as long as the market is old. Whoever audits a later one is shown the one that told.
"""

import json
from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, update
from sqlmodel import Session, col, select

from backend.jobs.tables import JobRow
from backend.leases.tables import LeaseIntention
from backend.matching.snapshot import LeftOut
from backend.matching.tables import AuctionRow, BookEntryRow
from backend.offers.tables import OfferRow
from backend.submission.tables import IntentRow
from protocol.hashing import from_hex
from protocol.wire.jobs import ENDED

_SETTLED: Final = frozenset({"done", "dropped"})
_BATCH: Final = 500


def left_out(session: Session, now: int, bound: int, taking_part: set[str]) -> tuple[LeftOut, ...]:
    """The entries below the bound that could take part by their expiry and do not, and why; `now` in unix seconds."""
    here = col(BookEntryRow.sequence) < bound, col(BookEntryRow.expiry_time) > now, col(BookEntryRow.left_in).is_(None)
    keys = session.exec(select(BookEntryRow.hash).where(*here))
    missing = [key for key in keys if key not in taking_part]
    if not missing:
        return ()
    jobs = select(BookEntryRow.hash, JobRow.state).join(JobRow, col(JobRow.order_digest) == col(BookEntryRow.hash))
    books = select(BookEntryRow.hash, OfferRow.withdrawn).join(OfferRow, col(OfferRow.digest) == col(BookEntryRow.hash))
    why = {key: (f"its job is {state}", state in ENDED) for key, state in session.exec(jobs.where(*here))}
    why |= {
        key: (
            "withdrawn, or refused by the ledger" if withdrawn else "provider silent, or cancelled on chain",
            withdrawn,
        )
        for key, withdrawn in session.exec(books.where(*here))
    }
    told = ((key, *why.get(key, ("gone", False))) for key in missing)
    return tuple(LeftOut(digest=from_hex(key, 32), why=words, for_good=for_good) for key, words, for_good in told)


def settle(session: Session) -> None:
    """Notes what the books told that have become final on chain; a book that was never sent told nobody."""
    waiting = {row.id: row for row in session.exec(select(AuctionRow).where(col(AuctionRow.leaving) != ""))}
    if not waiting:
        return
    opens = select(LeaseIntention.auction, IntentRow.state).join(
        IntentRow, (col(IntentRow.subject) == col(LeaseIntention.lease)) & (col(IntentRow.kind) == "open")
    )
    states: dict[int | None, set[str]] = {number: set() for number in waiting}
    for number, state in session.exec(opens.where(col(LeaseIntention.auction).in_(waiting)).distinct()):
        states[number].add(state)
    for number, row in waiting.items():
        if states[number] <= _SETTLED:
            if "done" in states[number]:
                _note(session, number, json.loads(row.leaving))
            row.leaving = ""
            session.add(row)


def _note(session: Session, number: int | None, keys: Sequence[str]) -> None:
    """But for what has come back since."""
    for start in range(0, len(keys), _BATCH):
        some = col(BookEntryRow.hash).in_(keys[start : start + _BATCH])
        told = update(BookEntryRow).where(some, _has_left()).values(left_in=number)
        session.connection().execute(told)


def _has_left() -> ColumnElement[bool]:
    ended = select(JobRow.order_digest).where(col(JobRow.order_digest) == col(BookEntryRow.hash))
    withdrawn = select(OfferRow.digest).where(col(OfferRow.digest) == col(BookEntryRow.hash))
    return (
        ended.where(col(JobRow.state).in_(ENDED)).exists() | withdrawn.where(col(OfferRow.withdrawn).is_(True)).exists()
    )
