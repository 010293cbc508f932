"""One auction: the waiting orders against the live book, by the rule in policy.py. The book that decided is kept."""

import secrets
from collections import Counter
from dataclasses import replace

import structlog
from sqlmodel import Session, col, select

from backend import crash_points
from backend.jobs.service import end_job, order_of
from backend.jobs.tables import JobRow, PassedOverRow
from backend.leases.facts import gather, intentions_of
from backend.leases.lanes import JobFacts, LaneState
from backend.leases.segments import lane_segments
from backend.leases.tables import LeaseIntention
from backend.market import Market
from backend.matching import receipts
from backend.matching.book import BookOffer, BookOrder, Pairing
from backend.matching.policy import match
from backend.matching.snapshot import LeftOut, Snapshot
from backend.matching.tables import AuctionRow, BookEntryRow
from backend.offers.tables import OfferRow
from backend.submission import intents
from indexer.queries import LeaseRow
from protocol.clock import now_time
from protocol.events import LeaseState
from protocol.hashing import Address, from_hex, to_hex
from protocol.ids import lease_id
from protocol.terms import Order
from protocol.units import lock_up
from protocol.wire.jobs import ENDED

log = structlog.get_logger()

MAX_ORDERS = 1000


def hold(session: Session, market: Market) -> int:
    """Proposes a lease for each pairing; returns how many. Opening is the ledger's."""
    orders = _waiting(session, market)
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
        _propose(session, market, jobs[pairing.order.digest], pairing, number)
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


def _waiting(session: Session, market: Market) -> list[tuple[BookOrder, JobRow]]:
    """Orders with a lane whose next fill the ledger would open now, each with the fills that it wants."""
    wanting = col(JobRow.wants_lease).is_(True) & col(JobRow.state).not_in(ENDED)
    statement = select(JobRow).where(wanting).order_by(col(JobRow.created_ms)).limit(MAX_ORDERS)
    waiting = []
    for job in session.exec(statement).all():
        order = order_of(job)
        if order.expiry <= now_time():
            if job.state == "queued":
                end_job(session, job, "expired", "no offer met the order before it expired")
            continue
        entry = _entry(session, market, job, order)
        if entry is not None:
            waiting.append((entry, job))
    return waiting


def _entry(session: Session, market: Market, job: JobRow, order: Order) -> BookOrder | None:
    facts = gather(session, market, job)
    leases = intentions_of(session, job.id)
    on_chain = market.mirror.leases_by_id([from_hex(row.lease, 32) for row in leases])
    fills = _fills(facts, [on_chain.get(from_hex(row.lease, 32)) for row in leases], order)
    if not fills:
        return None
    before = fills[0] - order.replicas
    # A lease that is proposed and not in the mirror yet holds its zone as well.
    held = {
        row.zone
        for row in leases
        if row.fill == before
        or (lease := on_chain.get(from_hex(row.lease, 32))) is None
        or lease.state is not LeaseState.CLOSED
    }
    return BookOrder(
        digest=from_hex(job.order_digest, 32),
        order=order,
        fills=fills,
        arrived=job.created_ms,
        tried=frozenset(Address(row.provider) for row in leases),
        serving=_serving(leases) | (_passed_over(session, job.id) if order.attested else frozenset()),
        held_zones=frozenset(held),
    )


def _serving(leases: list[LeaseIntention]) -> frozenset[Address]:
    """Providers that never get another replica: they have one, or were caught at a lie."""
    return frozenset(Address(row.provider) for row in leases if row.state != "ended" or row.caught)


def _passed_over(session: Session, job_id: str) -> frozenset[Address]:
    """Providers that never get the job: the ledger found them without the attestation."""
    statement = select(PassedOverRow.provider).where(PassedOverRow.job_id == job_id)
    return frozenset(Address(provider) for provider in session.exec(statement))


def _fills(facts: JobFacts, on_chain: list[LeaseRow | None], order: Order) -> tuple[int, ...]:
    """Each replica's first fill, all or none; later the next fill of one lane whose money is there."""
    if not facts.leases:
        return tuple(lane.next_fill for lane in facts.lanes if lane.can_open)
    ready = [
        lane.next_fill
        for lane in facts.lanes
        if lane.can_open and _can_lock(lane.number, [lease for lease in on_chain if lease is not None], order)
    ]
    # One is let at a time. Chance, so that one that nobody takes does not keep another from being let.
    return (secrets.choice(ready),) if ready else ()


def _can_lock(lane: int, on_chain: list[LeaseRow], order: Order) -> bool:
    """Whether the lane's budget gives a whole lock, or all that it will ever give.

    What an ended lease has locked and not earned comes back when it is closed: a lease that is opened before that would
    stop in the middle of the job.
    """
    earlier = [lease for lease in on_chain if lease.fill % order.replicas == lane]
    used = sum(lease.paid_base if lease.state is LeaseState.CLOSED else lease.locked_base for lease in earlier)
    is_free = all(lease.state is LeaseState.CLOSED for lease in earlier)
    # A provider is rarely dearer than the dearest before.
    rate = max((lease.rate for lease in earlier), default=order.max_rate)
    return order.budget - used >= lock_up(rate, order.quantity) or (is_free and used < order.budget)


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


def _propose(session: Session, market: Market, job: JobRow, pairing: Pairing, auction: int) -> None:
    rows = lane_segments(session, job.id, pairing.fill % pairing.order.order.replicas)
    lease = to_hex(lease_id(pairing.order.digest, pairing.fill))
    session.add(
        LeaseIntention(
            lease=lease,
            job_id=job.id,
            fill=pairing.fill,
            provider=pairing.offer.offer.provider,
            offer_digest=to_hex(pairing.offer.digest),
            rate=pairing.offer.offer.rate,
            zone=pairing.offer.offer.zone,
            state="proposed",
            base_work=rows[-1].job_work if rows else 0,
            base_sequence=rows[-1].sequence if rows else 0,
            proposed_time=now_time(),
            progress_time=now_time(),
        )
    )
    if job.state == "queued":
        job.state = "matched"
        job.failure = None
    session.flush()
    job.wants_lease = any(lane.state is LaneState.WAITING for lane in gather(session, market, job).lanes)
    session.add(job)
    intents.add(session, "open", lease, {"auction": auction})
