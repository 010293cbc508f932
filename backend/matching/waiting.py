"""The orders that wait for a lease, each with the fills that the ledger would open now."""

import secrets
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlmodel import Session, col, select

from backend.jobs.service import order_of
from backend.jobs.tables import JobRow, PassedOverRow
from backend.leases.facts import gather
from backend.leases.lanes import JobFacts
from backend.leases.tables import LeaseIntention
from backend.market import Market
from backend.matching.book import BookOrder
from indexer.queries import LeaseRow
from protocol.clock import now_time
from protocol.events import LeaseState
from protocol.hashing import Address, from_hex
from protocol.terms import Order
from protocol.units import lock_up
from protocol.wire.jobs import ENDED

MAX_ORDERS = 1000


@dataclass(frozen=True, slots=True)
class Waiting:
    """The oldest orders that want a lease, with their jobs; and the jobs whose order expired while none was had."""

    orders: list[tuple[BookOrder, JobRow]] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)


def waiting(session: Session, market: Market) -> Waiting:
    """What the next auction is about; nothing is written."""
    wanting = col(JobRow.wants_lease).is_(True) & col(JobRow.state).not_in(ENDED)
    statement = select(JobRow).where(wanting).order_by(col(JobRow.created_ms)).limit(MAX_ORDERS)
    jobs = session.exec(statement).all()
    leases = _intentions(session, jobs)
    found, now = Waiting(), now_time()
    for job in jobs:
        order = order_of(job)
        if order.expiry <= now:
            if job.state == "queued":
                found.expired.append(job.id)
            continue
        entry = _entry(session, market, job, order, leases[job.id])
        if entry is not None:
            found.orders.append((entry, job))
    return found


def may_open(session: Session, market: Market, job: JobRow, fills: Sequence[int]) -> bool:
    """Whether the ledger would open all of these fills now."""
    lanes = gather(session, market, job).lanes
    return set(fills) <= {lane.next_fill for lane in lanes if lane.can_open}


def _intentions(session: Session, jobs: Sequence[JobRow]) -> defaultdict[str, list[LeaseIntention]]:
    """All leases that were proposed for each, in the order of their fills."""
    statement = select(LeaseIntention).where(col(LeaseIntention.job_id).in_([job.id for job in jobs]))
    by_job: defaultdict[str, list[LeaseIntention]] = defaultdict(list)
    for row in session.exec(statement.order_by(col(LeaseIntention.fill))) if jobs else ():
        by_job[row.job_id].append(row)
    return by_job


def _entry(
    session: Session, market: Market, job: JobRow, order: Order, leases: list[LeaseIntention]
) -> BookOrder | None:
    on_chain = market.mirror.leases_by_id([from_hex(row.lease, 32) for row in leases]) if leases else {}
    if not leases and not job.closed_lanes:
        # Nearly all that wait are here for the first time.
        fills = tuple(range(order.replicas))
    else:
        facts = gather(session, market, job)
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
