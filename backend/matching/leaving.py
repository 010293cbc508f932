"""What takes no part in an auction: its book says so, with the reason.

What left for good is told of in each book until one that told of it is final on chain, and then no more: else each book
would be as long as the market is old. Whoever audits a later one is shown the one that told.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
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


@dataclass(frozen=True, slots=True)
class Told:
    """What books told of for good, of which it is not noted yet what became on chain."""

    #: by auction that is final on chain: what it was the first to tell
    final: dict[int, Sequence[str]]
    #: auctions that were never sent: they told nobody
    void: Sequence[int]
    #: digests that need not be noted for another auction, unless that of theirs comes to nothing
    digests: frozenset[str]


def told(session: Session) -> Told:
    """By the database of now."""
    # Not their books, which are large.
    kept = session.exec(select(AuctionRow.id, AuctionRow.leaving).where(col(AuctionRow.leaving) != ""))
    rows = [(number, leaving) for number, leaving in kept if number is not None]
    if not rows:
        return Told({}, (), frozenset())
    opens = select(LeaseIntention.auction, IntentRow.state).join(
        IntentRow, (col(IntentRow.subject) == col(LeaseIntention.lease)) & (col(IntentRow.kind) == "open")
    )
    states: defaultdict[int | None, set[str]] = defaultdict(set)
    numbers = [number for number, _ in rows]
    for auction, state in session.exec(opens.where(col(LeaseIntention.auction).in_(numbers)).distinct()):
        states[auction].add(state)
    settled = {number for number in numbers if states[number] <= _SETTLED}
    void = {number for number in settled if "done" not in states[number]}
    return Told(
        final={number: _digests(leaving) for number, leaving in rows if number in settled - void},
        void=sorted(void),
        digests=frozenset().union(*(_digests(leaving) for number, leaving in rows if number not in void)),
    )


def settle(session: Session, found: Told) -> None:
    """Notes it."""
    for number, digests in found.final.items():
        _note(session, number, digests)
    known = [*found.final, *found.void]
    for start in range(0, len(known), _BATCH):
        some = col(AuctionRow.id).in_(known[start : start + _BATCH])
        session.connection().execute(update(AuctionRow).where(some).values(leaving=""))


# Asked at each auction until it is known what became of it.
@lru_cache(maxsize=1024)
def _digests(leaving: str) -> tuple[str, ...]:
    return tuple(json.loads(leaving))


def _note(session: Session, number: int, keys: Sequence[str]) -> None:
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
