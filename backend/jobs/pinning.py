"""Who changes a job or its leases pins the job's row first, and reads what hangs on it after that.

On PostgreSQL server and worker write side by side: without it one that ends a job and one that gives up its lease would
each see the job as it was before, and the later commit would stand. On SQLite one transaction writes at a time.
"""

from sqlalchemy import bindparam
from sqlmodel import Session, col, select

from backend.jobs.tables import JobRow
from backend.leases.tables import LeaseIntention

# Built once: every usage receipt runs them.
_OF_LEASE = (
    select(JobRow)
    .where(
        col(JobRow.id)
        == select(LeaseIntention.job_id).where(col(LeaseIntention.lease) == bindparam("lease")).scalar_subquery()
    )
    .with_for_update()
)
_LEASE = select(LeaseIntention).where(col(LeaseIntention.lease) == bindparam("lease"))


def pin(session: Session, job_id: str) -> JobRow:
    """The job as it is now; nobody else changes it before this transaction ends."""
    return session.get_one(JobRow, job_id, with_for_update=True, populate_existing=True)


def pin_lease(session: Session, lease: str) -> tuple[LeaseIntention, JobRow] | None:
    """A lease intention and its job as they are now, both pinned; None if there is no such intention."""
    asked, now = {"lease": lease}, {"populate_existing": True}
    job = session.exec(_OF_LEASE, params=asked, execution_options=now).first()
    intention = session.exec(_LEASE, params=asked, execution_options=now).first() if job is not None else None
    return (intention, job) if job is not None and intention is not None else None
