"""One auction: the waiting orders against the live book, by the rule in policy.py. The book that decided is kept.

It is decided from one state of the databases while others write; what it decided is stored as far as it still holds.
"""

import json
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog
from sqlalchemy import bindparam, insert
from sqlalchemy import select as columns_of
from sqlmodel import Session, col

from backend import crash_points
from backend.events import writing
from backend.events.recording import say, told_proposed
from backend.jobs.pinning import pin
from backend.jobs.service import end_job, order_of
from backend.jobs.tables import JobRow
from backend.leases.facts import gather
from backend.leases.lanes import LaneState
from backend.leases.segments import lane_segments
from backend.leases.tables import LeaseIntention
from backend.market import Market
from backend.matching import leaving, receipts
from backend.matching.book import BookOffer, BookOrder, Pairing
from backend.matching.index import OfferIndex
from backend.matching.policy import decide
from backend.matching.snapshot import Snapshot, root_of, text_of
from backend.matching.tables import AuctionRow, pack
from backend.matching.waiting import Waiting, may_open, waiting
from backend.submission import intents
from indexer import prepared
from protocol.clock import now_time
from protocol.hashing import from_hex, to_hex
from protocol.ids import lease_id
from protocol.wire.jobs import ENDED

log = structlog.get_logger()

# Built once: every auction runs them.
_LIVE: Final = columns_of(col(LeaseIntention.lease), col(LeaseIntention.provider)).where(
    col(LeaseIntention.state).in_(("proposed", "running"))
)
_PROPOSE: Final = insert(LeaseIntention)
# Pinned, as by `pin`, and always in one order.
_STILL_WANTING: Final = (
    columns_of(col(JobRow.id), col(JobRow.closed_lanes))
    .where(
        col(JobRow.id).in_(bindparam("jobs", expanding=True)),
        col(JobRow.wants_lease).is_(True),
        col(JobRow.state).not_in(ENDED),
    )
    .order_by(col(JobRow.id))
    .with_for_update()
)


@dataclass(frozen=True, slots=True)
class _Decided:
    """The book as it will be published, and what the rule makes of it."""

    row: AuctionRow
    #: by the digest of their orders
    jobs: dict[bytes, JobRow]
    offers: int
    pairings: list[Pairing]
    #: by books before
    told: leaving.Told


def hold(market: Market) -> int:
    """Proposes a lease for each pairing; returns how many. Opening is the ledger's."""
    with market.db.read() as session:
        # First, so that all that was entered below it is seen by what is read after.
        bound = receipts.bound(session)
        found = waiting(session, market)
        decided = _decide(session, market, found, bound) if found.orders else None
    if decided is None and not found.expired:
        return 0
    with market.db.write() as session:
        for job_id in found.expired:
            _expire(session, job_id)
        return _store(session, market, decided) if decided is not None else 0


def _decide(session: Session, market: Market, found: Waiting, bound: int) -> _Decided | None:
    """None if nothing is matched."""
    now = now_time()
    book = _with_proposals(session, market)
    orders = [entry for entry, _ in found.orders]
    index, market.offer_index = market.offer_index or OfferIndex(), None
    index = index.following(book)
    pairings = decide(index, orders, market.deployment.min_notice)
    # Only whole ones are kept.
    market.offer_index = index
    if not pairings:
        return None
    taking_part = {to_hex(entry.digest) for entry in book} | {job.order_digest for _, job in found.orders}
    left_out = market.absent.now(session, now, bound, taking_part)
    told = leaving.told(session)
    snapshot = Snapshot(
        domain=market.domain,
        matcher=market.submission_key.address,
        min_notice=market.deployment.min_notice,
        held_time=now,
        sequence_bound=bound,
        offers=tuple(book),
        orders=tuple(orders),
        order_signatures={entry.digest: from_hex(job.order_signature) for entry, job in found.orders},
        left_out=tuple(left_out),
    )
    lines = snapshot.lines()
    for_good = [key for entry in left_out if entry.for_good and (key := to_hex(entry.digest)) not in told.digests]
    return _Decided(
        row=AuctionRow(
            root=to_hex(root_of(lines)),
            packed=pack(text_of(lines)),
            pairings=len(pairings),
            held_time=now,
            leaving=json.dumps(for_good) if for_good else "",
        ),
        jobs={entry.digest: job for entry, job in found.orders},
        offers=len(book),
        pairings=pairings,
        told=told,
    )


def _with_proposals(session: Session, market: Market) -> list[BookOffer]:
    """The book, in which a proposal that the mirror does not show yet already takes its provider's room."""
    intentions = prepared.rows(session.connection(), _LIVE, {})
    _, known = market.leases_on_chain.look(lease for lease, _ in intentions)
    proposed = Counter(provider for lease, provider in intentions if lease not in known)
    return [
        replace(entry, open_leases=entry.open_leases + proposed[entry.offer.provider])
        if proposed[entry.offer.provider]
        else entry
        for entry in market.live_book.now(session)
    ]


def _expire(session: Session, job_id: str) -> None:
    job = pin(session, job_id)
    if job.state == "queued":
        end_job(session, job, "expired", "no offer met the order before it expired")


def _store(session: Session, market: Market, decided: _Decided) -> int:
    """Proposes what still holds: a buyer may have cancelled meanwhile, a lane may have been closed."""
    leaving.settle(session, decided.told)
    session.add(decided.row)
    session.flush()
    crash_points.reach("auction.stored")
    jobs = _still_waiting(session, market, decided)
    pairings = [pairing for pairing in decided.pairings if pairing.order.digest in jobs]
    proposed = [_proposed(session, decided.row, jobs[pairing.order.digest], pairing) for pairing in pairings]
    leases = [columns["lease"] for columns in proposed]
    prepared.put(session.connection(), _PROPOSE, proposed)
    for columns in proposed:
        say(session, told_proposed(columns))
    intents.add_all(session, "open", [(lease, {"auction": decided.row.id}) for lease in leases])
    orders = {pairing.order.digest: pairing.order for pairing in pairings}
    with writing.together(session):
        for digest, order in orders.items():
            _note_proposed(session, market, jobs[digest], is_first=_is_first(order, jobs[digest].closed_lanes))
    crash_points.reach("proposals.stored")
    log.info(
        "auction.held",
        auction=decided.row.id,
        orders=len(decided.jobs),
        offers=decided.offers,
        pairings=len(pairings),
    )
    return len(pairings)


def _still_waiting(session: Session, market: Market, decided: _Decided) -> dict[bytes, JobRow]:
    """By the digest of their orders, those of which every fill may still be opened."""
    orders = {pairing.order.digest: pairing.order for pairing in decided.pairings}
    by_id = {decided.jobs[digest].id: digest for digest in orders}
    found = {}
    for job_id, closed_lanes in prepared.rows(session.connection(), _STILL_WANTING, {"jobs": list(by_id)}):
        order = orders[by_id[job_id]]
        if _is_first(order, closed_lanes):
            # Nothing of it but that can be other than it was read just now.
            found[order.digest] = decided.jobs[order.digest]
        elif may_open(session, market, job := session.get_one(JobRow, job_id), order.fills):
            found[order.digest] = job
    return found


def _is_first(order: BookOrder, closed_lanes: int) -> bool:
    """It never had a lease: nobody but an auction gives one."""
    return not order.tried and not closed_lanes


def _proposed(session: Session, held: AuctionRow, job: JobRow, pairing: Pairing) -> dict[str, Any]:
    """The columns of its lease intention."""
    order, offer = pairing.order, pairing.offer
    rows = [] if not order.tried else lane_segments(session, job.id, pairing.fill % order.order.replicas)
    now = now_time()
    return {
        "lease": to_hex(lease_id(order.digest, pairing.fill)),
        "job_id": job.id,
        "fill": pairing.fill,
        "auction": held.id,
        "provider": offer.offer.provider,
        "offer_digest": to_hex(offer.digest),
        "rate": offer.offer.rate,
        "zone": offer.offer.zone,
        "state": "proposed",
        "base_work": rows[-1].job_work if rows else 0,
        "base_sequence": rows[-1].sequence if rows else 0,
        "proposed_time": now,
        "progress_time": now,
        "caught": False,
        "closing_reason": 0,
        "settled": False,
    }


def _note_proposed(session: Session, market: Market, job: JobRow, *, is_first: bool) -> None:
    # Each lane of a job that is let for the first time has its lease now, and so has the only lane.
    has_all = is_first or order_of(job).replicas == 1
    wants_lease = not has_all and any(lane.state is LaneState.WAITING for lane in gather(session, market, job).lanes)
    if job.state == "queued":
        writing.change(session, job, state="matched", failure=None, wants_lease=wants_lease)
    else:
        writing.change(session, job, wants_lease=wants_lease)
