"""Segments as they are stored: what a lane was paid for, and what the job's lanes agree about."""

from sqlalchemy import func
from sqlmodel import Session, col, select

from backend.leases.tables import UsageRow
from protocol.wire.jobs import TraceStep


def usages(session: Session, job_id: str) -> list[UsageRow]:
    """The accepted segments of a job in order, each once, whichever lane sent it."""
    statement = select(UsageRow).where(UsageRow.job_id == job_id, UsageRow.verdict == "paid")
    rows = session.exec(statement.order_by(col(UsageRow.sequence), col(UsageRow.lane)))
    return list({row.sequence: row for row in rows}.values())


def lane_segments(session: Session, job_id: str, lane: int) -> list[UsageRow]:
    """What a lane was paid for, over all its leases, in order: where its next lease goes on."""
    statement = select(UsageRow).where(UsageRow.job_id == job_id, UsageRow.lane == lane, UsageRow.verdict == "paid")
    return list(session.exec(statement.order_by(col(UsageRow.sequence))))


def waiting_segment(session: Session, lease: str) -> UsageRow | None:
    """What the lease has sent and is not decided; one at most."""
    return session.exec(select(UsageRow).where(UsageRow.lease == lease, UsageRow.verdict == "waiting")).first()


def trace_of(rows: list[UsageRow]) -> list[TraceStep]:
    return [TraceStep(state_hash=row.state_hash, work=row.job_work) for row in rows]


def vouched_base(session: Session, job_id: str) -> int:
    """Base units of the highest vouchers of all leases of the job."""
    highest = (
        select(func.max(UsageRow.cumulative_base).label("most"))
        .where(UsageRow.job_id == job_id)
        .group_by(col(UsageRow.lease))
        .subquery()
    )
    return int(session.exec(select(func.sum(highest.c.most))).one() or 0)
