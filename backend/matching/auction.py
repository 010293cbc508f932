"""One auction: the waiting orders against the live book, by the rule in policy.py."""

from dataclasses import replace

import structlog
from sqlmodel import Session, col, select

from backend.jobs.service import end_job
from backend.jobs.tables import JobRow
from backend.leases.service import usages
from backend.leases.tables import LeaseIntention
from backend.market import Market
from backend.matching.book import BookOffer, BookOrder, Pairing
from backend.matching.policy import match
from backend.offers.service import live_book
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
    for pairing in pairings:
        _propose(session, jobs[pairing.order.digest], pairing)
    if pairings:
        log.info("auction.held", orders=len(orders), offers=len(book), pairings=len(pairings))
    return len(pairings)


def _waiting(session: Session) -> list[tuple[BookOrder, JobRow]]:
    statement = select(JobRow).where(JobRow.state == "queued").order_by(col(JobRow.created_ms)).limit(MAX_ORDERS)
    waiting = []
    for job in session.exec(statement).all():
        order = intents.order_of(job)
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
    proposed: dict[str, int] = {}
    statement = select(LeaseIntention).where(col(LeaseIntention.state).in_(("proposed", "running")))
    for intention in session.exec(statement).all():
        if market.mirror.lease(from_hex(intention.lease, 32)) is None:
            proposed[intention.provider] = proposed.get(intention.provider, 0) + 1
    return [
        replace(entry, open_leases=entry.open_leases + proposed.get(entry.offer.provider, 0))
        for entry in live_book(session, market)
    ]


def _propose(session: Session, job: JobRow, pairing: Pairing) -> None:
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
    intents.add(session, "open", lease, {})
