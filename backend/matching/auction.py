"""One auction: the waiting orders against the live book, by the rule in policy.py. The book that decided is kept."""

from collections import Counter
from dataclasses import replace

import structlog
from sqlmodel import Session, col, select

from backend import crash_points
from backend.jobs.service import end_job, order_of
from backend.jobs.tables import JobRow
from backend.leases.service import usages
from backend.leases.tables import LeaseIntention
from backend.market import Market
from backend.matching import receipts
from backend.matching.book import BookOffer, BookOrder, Pairing
from backend.matching.policy import match
from backend.matching.snapshot import LeftOut, Snapshot
from backend.matching.tables import AuctionRow, BookEntryRow
from backend.offers.tables import OfferRow
from backend.submission import intents
from protocol.clock import now_time
from protocol.hashing import Address, from_hex, to_hex
from protocol.ids import lease_id

log = structlog.get_logger()

MAX_ORDERS = 1000


def hold(session: Session, market: Market) -> int:
    """Proposes a lease for each pairing; returns how many. Opening is the ledger's."""
    orders = _waiting(session)
    if not orders:
        return 0
    jobs = {entry.digest: job for entry, job in orders}
    book = _with_proposals(session, market)
    pairings = match(book, [entry for entry, _ in orders], market.deployment.min_notice)
    if not pairings:
        return 0
    number = _publish(session, market, book, orders, len(pairings))
    crash_points.reach("auction.stored")
    for pairing in pairings:
        _propose(session, jobs[pairing.order.digest], pairing, number)
    crash_points.reach("proposals.stored")
    log.info("auction.held", auction=number, orders=len(orders), offers=len(book), pairings=len(pairings))
    return len(pairings)


def _publish(
    session: Session, market: Market, book: list[BookOffer], orders: list[tuple[BookOrder, JobRow]], pairings: int
) -> int:
    """Stores the book under the next auction's number, before anything is proposed by it."""
    now = now_time()
    taking_part = {to_hex(entry.digest) for entry in book} | {job.order_digest for _, job in orders}
    snapshot = Snapshot(
        domain=market.domain,
        matcher=market.submission_key.address,
        min_notice=market.deployment.min_notice,
        held_time=now,
        sequence_bound=receipts.bound(session),
        offers=tuple(book),
        orders=tuple(entry for entry, _ in orders),
        order_signatures={entry.digest: from_hex(job.order_signature, 65) for entry, job in orders},
        left_out=_left_out(session, now, taking_part),
    )
    row = AuctionRow(root=to_hex(snapshot.root()), snapshot=snapshot.text(), pairings=pairings, held_time=now)
    session.add(row)
    session.flush()
    if row.id is None:
        raise LookupError("the database gave the auction no number")
    return row.id


def _left_out(session: Session, now: int, taking_part: set[str]) -> tuple[LeftOut, ...]:
    """The entries that could take part by their expiry and do not, and why; `now` in unix seconds."""
    alive = col(BookEntryRow.expiry_time) > now
    jobs = select(BookEntryRow.hash, JobRow.state).join(JobRow, col(JobRow.order_digest) == col(BookEntryRow.hash))
    books = select(BookEntryRow.hash, OfferRow.withdrawn).join(OfferRow, col(OfferRow.digest) == col(BookEntryRow.hash))
    why = {key: f"its job is {state}" for key, state in session.exec(jobs.where(alive))}
    why |= {
        key: "withdrawn, or refused by the ledger" if withdrawn else "provider silent, or cancelled on chain"
        for key, withdrawn in session.exec(books.where(alive))
    }
    return tuple(
        LeftOut(digest=from_hex(row.hash, 32), why=why.get(row.hash, "gone"))
        for row in receipts.unexpired(session, now)
        if row.hash not in taking_part
    )


def _waiting(session: Session) -> list[tuple[BookOrder, JobRow]]:
    statement = select(JobRow).where(JobRow.state == "queued").order_by(col(JobRow.created_ms)).limit(MAX_ORDERS)
    waiting = []
    for job in session.exec(statement).all():
        order = order_of(job)
        if order.expiry <= now_time():
            end_job(session, job, "expired", "no offer met the order before it expired")
            continue
        served = session.exec(select(LeaseIntention.provider).where(LeaseIntention.job_id == job.id)).all()
        entry = BookOrder(
            digest=from_hex(job.order_digest, 32),
            order=order,
            fills=(job.next_fill,),
            arrived=job.created_ms,
            tried=frozenset(Address(provider) for provider in served),
        )
        waiting.append((entry, job))
    return waiting


def _with_proposals(session: Session, market: Market) -> list[BookOffer]:
    """The book, in which a proposal that the mirror does not show yet already takes its provider's room."""
    statement = select(LeaseIntention).where(col(LeaseIntention.state).in_(("proposed", "running")))
    intentions = list(session.exec(statement))
    known = market.mirror.leases_by_id([from_hex(intention.lease, 32) for intention in intentions])
    proposed = Counter(intention.provider for intention in intentions if from_hex(intention.lease, 32) not in known)
    return [
        replace(entry, open_leases=entry.open_leases + proposed[entry.offer.provider])
        for entry in market.live_book.now(session)
    ]


def _propose(session: Session, job: JobRow, pairing: Pairing, auction: int) -> None:
    rows = usages(session, job.id)
    lease = to_hex(lease_id(pairing.order.digest, pairing.fill))
    session.add(
        LeaseIntention(
            lease=lease,
            job_id=job.id,
            fill=pairing.fill,
            provider=pairing.offer.offer.provider,
            offer_digest=to_hex(pairing.offer.digest),
            rate=pairing.offer.offer.rate,
            state="proposed",
            base_work=rows[-1].job_work if rows else 0,
            base_sequence=rows[-1].sequence if rows else 0,
            proposed_time=now_time(),
        )
    )
    job.state = "matched"
    job.failure = None
    job.next_fill = pairing.fill + 1
    session.add(job)
    intents.add(session, "open", lease, {"auction": auction})
