"""The orders that wait for a lease, each with the fills that the ledger would open now."""

import secrets
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import SystemRandom
from typing import Any, Final, NamedTuple

from sqlalchemy import SQLColumnExpression, bindparam
from sqlalchemy import select as columns_of
from sqlmodel import Session, col, select

from backend.jobs.service import order_of, read_order
from backend.jobs.tables import JobRow, PassedOverRow
from backend.leases.facts import gather
from backend.leases.lanes import JobFacts
from backend.leases.tables import LeaseIntention
from backend.market import Market
from backend.matching.book import BookOrder
from indexer import prepared
from indexer.queries import LeaseRow
from protocol.clock import now_time
from protocol.events import LeaseState
from protocol.hashing import Address, from_hex
from protocol.terms import Order
from protocol.units import lock_up
from protocol.wire.jobs import ENDED

MAX_ORDERS: Final = 1000
_CHUNK: Final = 500
_COLUMNS: Final[list[SQLColumnExpression[Any]]] = [
    col(LeaseIntention.job_id),
    col(LeaseIntention.lease),
    col(LeaseIntention.fill),
    col(LeaseIntention.provider),
    col(LeaseIntention.zone),
    col(LeaseIntention.state),
    col(LeaseIntention.caught),
]
# Built once: each auction runs them.
_LET: Final = (
    columns_of(*_COLUMNS)
    .where(col(LeaseIntention.job_id).in_(bindparam("jobs", expanding=True)))
    .order_by(col(LeaseIntention.fill))
)
_HAD_ONE: Final = columns_of(col(LeaseIntention.lease)).where(col(LeaseIntention.job_id) == col(JobRow.id)).exists()
_WANTING: Final = (
    columns_of(col(JobRow.id), _HAD_ONE)
    .where(col(JobRow.wants_lease).is_(True), col(JobRow.state).not_in(ENDED))
    .order_by(col(JobRow.created_ms), col(JobRow.id))
)


class _Let(NamedTuple):
    """A lease that was proposed; see `LeaseIntention`."""

    job_id: str
    lease: str
    fill: int
    provider: str
    zone: int
    state: str
    caught: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """Orders that want a lease and could have one now, with their jobs; and the jobs whose order expired while none
    was had."""

    orders: list[tuple[BookOrder, JobRow]] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)


def waiting(session: Session, market: Market) -> Waiting:
    """What the next auction is about; nothing is written."""
    chosen = chosen_of(_candidates(session, market), MAX_ORDERS)
    jobs = [job for some in _chunks(chosen) for job in session.exec(select(JobRow).where(col(JobRow.id).in_(some)))]
    leases = _intentions(session, chosen)
    on_chain = _on_chain(market, leases)
    found, now = Waiting(), now_time()
    for job in sorted(jobs, key=lambda job: (job.created_ms, job.id)):
        order = order_of(job)
        if order.expiry <= now:
            if job.state == "queued":
                found.expired.append(job.id)
            continue
        entry = _entry(session, market, job, order, leases[job.id], on_chain)
        if entry is not None:
            found.orders.append((entry, job))
    return found


def chosen_of(candidates: Sequence[str], most: int) -> list[str]:
    """The older half of an auction are the oldest that wait, the others are drawn from all that came later.

    So orders that no offer meets, however many they are, keep nobody out for ever.
    """
    if len(candidates) <= most:
        return list(candidates)
    oldest, later = candidates[: most // 2], candidates[most // 2 :]
    return [*oldest, *SystemRandom().sample(later, most - len(oldest))]


def _candidates(session: Session, market: Market) -> list[str]:
    """The jobs that want a lease, oldest first, but for those whose last one has to end or to give money back first."""
    rows = prepared.rows(session.connection(), _WANTING, {})
    ready = _ready(session, market, [job_id for job_id, is_tried in rows if is_tried])
    return [job_id for job_id, is_tried in rows if not is_tried or job_id in ready]


def _ready(session: Session, market: Market, ids: Sequence[str]) -> set[str]:
    """Of jobs that had leases, those of which a fill may be opened; it is looked at closely if it is chosen."""
    leases = _intentions(session, ids)
    status, on_chain = market.leases_on_chain.look(row.lease for rows in leases.values() for row in rows)
    orders = (
        (job_id, read_order(message))
        for some in _chunks(ids)
        for job_id, message in session.exec(select(JobRow.id, JobRow.order_message).where(col(JobRow.id).in_(some)))
    )
    now = now_time()
    return {
        job_id
        for job_id, order in orders
        if order.expiry <= now
        or any(
            _lane_is_ready(lane, leases[job_id], on_chain, order, status.block_time) for lane in range(order.replicas)
        )
    }


def _lane_is_ready(
    lane: int, leases: Sequence[_Let], on_chain: Mapping[str, LeaseRow], order: Order, block_time: int
) -> bool:
    """Its last lease is given up and over, and its money is there."""
    ours = [row for row in leases if row.fill % order.replicas == lane]
    if not ours:
        return True
    known = [lease for row in ours if (lease := on_chain.get(row.lease)) is not None]
    last = on_chain.get(ours[-1].lease)
    if ours[-1].state != "ended" or last is None:
        return False
    is_over = last.state is not LeaseState.OPEN or block_time >= last.deadline_time
    return is_over and _can_lock(lane, known, order)


def may_open(session: Session, market: Market, job: JobRow, fills: Sequence[int]) -> bool:
    """Whether the ledger would open all of these fills now."""
    lanes = gather(session, market, job).lanes
    return set(fills) <= {lane.next_fill for lane in lanes if lane.can_open}


def _intentions(session: Session, ids: Sequence[str]) -> defaultdict[str, list[_Let]]:
    """All leases that were proposed for each job, in the order of their fills."""
    by_job: defaultdict[str, list[_Let]] = defaultdict(list)
    for some in _chunks(ids):
        for row in prepared.rows(session.connection(), _LET, {"jobs": some}):
            by_job[row[0]].append(_Let(*row))
    return by_job


def _on_chain(market: Market, leases: Mapping[str, Sequence[_Let]]) -> Mapping[str, LeaseRow]:
    return market.leases_on_chain.look(row.lease for rows in leases.values() for row in rows)[1]


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK))


def _entry(
    session: Session,
    market: Market,
    job: JobRow,
    order: Order,
    leases: Sequence[_Let],
    on_chain: Mapping[str, LeaseRow],
) -> BookOrder | None:
    if not leases and not job.closed_lanes:
        # Nearly all that wait are here for the first time.
        fills = tuple(range(order.replicas))
    else:
        facts = gather(session, market, job)
        fills = _fills(facts, [on_chain.get(row.lease) for row in leases], order)
    if not fills:
        return None
    before = fills[0] - order.replicas
    # A lease that is proposed and not in the mirror yet holds its zone as well.
    held = {
        row.zone
        for row in leases
        if row.fill == before or (lease := on_chain.get(row.lease)) is None or lease.state is not LeaseState.CLOSED
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


def _serving(leases: Sequence[_Let]) -> frozenset[Address]:
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
