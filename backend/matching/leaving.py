"""What takes no part in an auction: its book says so, with the reason.

What left for good is told of in each book until one that told of it is final on chain, and then no more: else each book
would be as long as the market is old. Whoever audits a later one is shown the one that told.
"""

import json
from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Final, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Executable, Integer, bindparam, update
from sqlalchemy import select as columns_of
from sqlmodel import Session, col, select

from backend.jobs.tables import JobRow
from backend.leases.tables import LeaseIntention
from backend.matching.snapshot import LeftOut
from backend.matching.tables import AuctionRow, BookEntryRow
from backend.offers.tables import OfferRow
from backend.submission.tables import IntentRow
from indexer import prepared
from protocol.hashing import from_hex
from protocol.wire.jobs import ENDED

_SETTLED: Final = ("done", "dropped")
_BATCH: Final = 500
# Built once: each auction runs them.
_HERE: Final = columns_of(col(BookEntryRow.hash), col(BookEntryRow.kind)).where(
    col(BookEntryRow.sequence) < bindparam("bound", type_=Integer()),
    col(BookEntryRow.expiry_time) > bindparam("now", type_=BigInteger()),
    col(BookEntryRow.left_in).is_(None),
)
_STATES: Final = columns_of(col(JobRow.order_digest), col(JobRow.state)).where(
    col(JobRow.order_digest).in_(bindparam("keys", expanding=True))
)
_WITHDRAWN: Final = columns_of(col(OfferRow.digest), col(OfferRow.withdrawn)).where(
    col(OfferRow.digest).in_(bindparam("keys", expanding=True))
)
_OPENS: Final = (
    columns_of(col(IntentRow.id))
    .join(LeaseIntention, col(LeaseIntention.lease) == col(IntentRow.subject))
    .where(col(LeaseIntention.auction) == col(AuctionRow.id), col(IntentRow.kind) == "open")
)
# Of what is not known yet. Not their books, which are large.
_TOLD: Final = columns_of(
    col(AuctionRow.id), col(AuctionRow.leaving), ~_OPENS.where(col(IntentRow.state).not_in(_SETTLED)).exists()
).where(col(AuctionRow.leaving) != "")
_SENT: Final = columns_of(col(AuctionRow.id)).where(
    col(AuctionRow.id).in_(bindparam("auctions", expanding=True)),
    _OPENS.where(col(IntentRow.state) == "done").exists(),
)


class _Known(NamedTuple):
    """What was said of an entry in the auction before, and because of what."""

    #: an order's job's state, or whether an offer is withdrawn; None if it is gone
    because: str | bool | None
    entry: LeftOut


class Absent:
    """Entries that take no part in an auction. Of one process, for one thread."""

    def __init__(self) -> None:
        #: by digest, 0x hex
        self._known: dict[str, _Known] = {}

    def now(self, session: Session, now: int, bound: int, taking_part: Set[str]) -> list[LeftOut]:
        """Those below the bound that could take part by their expiry, and why they do not; `now` in unix seconds."""
        before, self._known = self._known, {}
        unsure: dict[str, list[str]] = {"order": [], "offer": []}
        for key, kind in prepared.rows(session.connection(), _HERE, {"bound": bound, "now": now}):
            if key in taking_part:
                continue
            known = before.get(key)
            if known is not None and known.because in ENDED:
                # Such a job stays as it is.
                self._known[key] = known
            else:
                unsure[kind].append(key)
        because = _ask(session, _STATES, unsure["order"]) | _ask(session, _WITHDRAWN, unsure["offer"])
        for key in chain.from_iterable(unsure.values()):
            known, reason = before.get(key), because.get(key)
            if known is None or known.because != reason:
                known = _Known(reason, _entry(key, reason))
            self._known[key] = known
        return [known.entry for known in self._known.values()]


def _ask(session: Session, statement: Executable, keys: Sequence[str]) -> dict[str, str | bool]:
    found: dict[str, str | bool] = {}
    for start in range(0, len(keys), _BATCH):
        found.update(prepared.rows(session.connection(), statement, {"keys": keys[start : start + _BATCH]}))
    return found


def _entry(key: str, because: str | bool | None) -> LeftOut:
    match because:
        case str():
            why, for_good = f"its job is {because}", because in ENDED
        case True:
            why, for_good = "withdrawn, or refused by the ledger", True
        case False:
            why, for_good = "provider silent, or cancelled on chain", False
        case None:
            why, for_good = "gone", False
    return LeftOut(digest=from_hex(key, 32), why=why, for_good=for_good)


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
    connection = session.connection()
    rows = prepared.rows(connection, _TOLD, {})
    settled = [number for number, _, is_settled in rows if is_settled]
    sent = {number for (number,) in prepared.rows(connection, _SENT, {"auctions": settled})} if settled else set()
    void = sorted(set(settled) - sent)
    return Told(
        final={number: _digests(leaving) for number, leaving, _ in rows if number in sent},
        void=void,
        digests=frozenset().union(*(_digests(leaving) for number, leaving, _ in rows if number not in void)),
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
