"""A provider's leases, and its commitments to segments that other replicas may not copy yet (SPEC "Replicas")."""

from typing import Final

from sqlalchemy import bindparam
from sqlmodel import Session, col, select

from backend.accounts.service import Principal
from backend.errors import NotFound, UsageRefused
from backend.jobs.pinning import pin_lease
from backend.jobs.service import order_of
from backend.jobs.tables import JobRow
from backend.leases.facts import chain_now, gather
from backend.leases.lanes import may_reveal
from backend.leases.requirements import next_sequence, require_running
from backend.leases.segments import steps_of
from backend.leases.tables import CommitmentRow, LeaseIntention
from backend.market import Market
from backend.offers.presence import hear_now
from protocol.clock import now_time
from protocol.hashing import from_hex, to_hex
from protocol.wire.leases import UsageCommitment

# Built once: agents ask often.
_LEASE: Final = select(LeaseIntention).where(col(LeaseIntention.lease) == bindparam("lease"))


def own_intention(session: Session, caller: Principal, lease: str) -> LeaseIntention:
    """The lease, if it is this provider's; raises `NotFound`."""
    row = session.exec(_LEASE, params={"lease": to_hex(from_hex(lease, 32))}).first()
    if row is None or row.provider != caller.address:
        raise NotFound(f"no lease {lease[:70]} of {caller.address}")
    return row


def own_pinned(session: Session, caller: Principal, lease: str) -> tuple[LeaseIntention, JobRow]:
    """The same with its job, both pinned: for whoever changes one of them."""
    found = pin_lease(session, to_hex(from_hex(lease, 32)))
    if found is None or found[0].provider != caller.address:
        raise NotFound(f"no lease {lease[:70]} of {caller.address}")
    return found


def lane_of(job: JobRow, intention: LeaseIntention) -> int:
    """The replica that the lease is of."""
    return intention.fill % order_of(job).replicas


def commit_usage(session: Session, market: Market, caller: Principal, lease: str, asked: UsageCommitment) -> bool:
    """Keeps a replica's commitment to its next segment; whether it may show it now."""
    hear_now(session, caller.address, market.settings.silence_seconds)
    intention, job = own_pinned(session, caller, lease)
    row = session.get(CommitmentRow, (intention.lease, asked.sequence))
    if row is not None and row.commitment != asked.commitment:
        raise UsageRefused(f"segment {asked.sequence} was committed to otherwise", remedy="show what you committed to")
    if row is not None and row.is_open:
        return True
    with chain_now(market) as chain:
        require_running(intention, job, chain)
    if row is None:
        expected = next_sequence(intention, steps_of(session, [job.id])[job.id, lane_of(job, intention)])
        if asked.sequence != expected:
            raise UsageRefused(f"expected segment {expected}, found {asked.sequence}", remedy="resume from the market")
        row = CommitmentRow(
            lease=intention.lease,
            sequence=asked.sequence,
            commitment=asked.commitment,
            committed_time=now_time(),
        )
        session.add(row)
        intention.progress_time = now_time()
        session.add(intention)
        session.flush()
    facts = gather(session, market, job)
    ours = next(found for found in facts.leases if found.lease == intention.lease)
    row.is_open = may_reveal(facts, ours)
    session.add(row)
    return row.is_open
