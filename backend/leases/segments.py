"""Segments as they are stored: what a lane was paid for, and what the job's lanes agree about."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import NamedTuple

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from backend.jobs.tables import JobLogRow, JobRow
from backend.leases import statements
from backend.leases.tables import CheckRow, LeaseIntention, UsageRow
from indexer import prepared
from protocol.wire.jobs import TraceStep


class Step(NamedTuple):
    """Of an accepted segment, what the next one follows from and goes on from."""

    sequence: int
    state_hash: str
    job_work: int
    checkpoint_cid: str


def usages(session: Session, job_id: str) -> list[UsageRow]:
    """The accepted segments of a job in order, each once, whichever lane sent it."""
    statement = select(UsageRow).where(UsageRow.job_id == job_id, UsageRow.verdict == "paid")
    rows = session.exec(statement.order_by(col(UsageRow.sequence), col(UsageRow.lane)))
    return list({row.sequence: row for row in rows}.values())


def lane_segments(session: Session, job_id: str, lane: int) -> list[UsageRow]:
    """What a lane was paid for, over all its leases, in order: where its next lease goes on."""
    statement = select(UsageRow).where(UsageRow.job_id == job_id, UsageRow.lane == lane, UsageRow.verdict == "paid")
    return list(session.exec(statement.order_by(col(UsageRow.sequence))))


def steps_of(session: Session, jobs: Collection[str]) -> defaultdict[tuple[str, int], list[Step]]:
    """By job and lane the same, of what is written already."""
    by_lane: defaultdict[tuple[str, int], list[Step]] = defaultdict(list)
    for job_id, lane, *step in prepared.rows(session.connection(), statements.LANES, {"jobs": list(jobs)}):
        by_lane[job_id, lane].append(Step(*step))
    return by_lane


def waiting_segment(session: Session, lease: str) -> UsageRow | None:
    """What the lease has sent and is not decided; one at most."""
    return session.exec(select(UsageRow).where(UsageRow.lease == lease, UsageRow.verdict == "waiting")).first()


def trace_of(rows: Iterable[UsageRow | Step]) -> list[TraceStep]:
    return [TraceStep(state_hash=row.state_hash, work=row.job_work) for row in rows]


def is_of_lease() -> ColumnElement[bool]:
    """Joins segments to the lease that can pay for them."""
    return (col(UsageRow.lease) == col(LeaseIntention.lease)) & (col(UsageRow.provider) == col(LeaseIntention.provider))


def undo_from(session: Session, job: JobRow, sequence: int) -> None:
    """The job's segments from this one on are accepted no more: how far it is follows from those that still are."""
    # What was asked about the segments before stays asked; a new end draws again.
    for check in session.exec(select(CheckRow).where(CheckRow.job_id == job.id)):
        if check.purpose == "spot" or check.sequence >= sequence:
            check.state = "spent"
            session.add(check)
    for printed in session.exec(select(JobLogRow).where(JobLogRow.job_id == job.id, JobLogRow.sequence >= sequence)):
        session.delete(printed)
    session.flush()
    rows = usages(session, job.id)
    job.segments_done = rows[-1].sequence if rows else 0
    job.work = rows[-1].job_work if rows else 0
    session.add(job)


def vouched_base(session: Session, job_id: str) -> int:
    """Base units of the highest vouchers of all leases of the job, each to the provider that has the lease."""
    session.flush()
    return int(prepared.value(session.connection(), statements.VOUCHED, {"job": job_id}) or 0)
