"""Who changes a job or its leases pins the job's row first, and reads what hangs on it after that.

On PostgreSQL server and worker write side by side: without it one that ends a job and one that gives up its lease would
each see the job as it was before, and the later commit would stand. On SQLite one transaction writes at a time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam
from sqlmodel import Session, col, select

from backend.events import writing
from backend.jobs.tables import JobRow
from backend.leases.tables import LeaseIntention
from backend.plain_rows import Row
from indexer import prepared

# Built once: every usage receipt runs them. By nothing but the leases: SQLite would look through all of the provider's.
_NAMED = col(LeaseIntention.lease).in_(bindparam("leases", expanding=True))
_JOBS = select(JobRow).where(col(JobRow.id).in_(select(col(LeaseIntention.job_id)).where(_NAMED)))
_ONE, _FREE = _JOBS.with_for_update(), _JOBS.with_for_update(skip_locked=True)
_LEASES = select(LeaseIntention).where(_NAMED)
_NOW = {"populate_existing": True}


@dataclass(frozen=True, slots=True)
class Pinned:
    """Leases of one provider, by their ids."""

    #: as they are now, with their jobs
    leases: dict[str, tuple[LeaseIntention, JobRow]]
    #: somebody else has their jobs just now
    busy: frozenset[str]


def pin(session: Session, job_id: str) -> JobRow:
    """The job as it is now; nobody else changes it before this transaction ends."""
    return session.get_one(JobRow, job_id, with_for_update=True, populate_existing=True)


def pin_lease(session: Session, lease: str) -> tuple[LeaseIntention, JobRow] | None:
    """A lease intention and its job as they are now, both pinned; None if there is no such intention."""
    asked = {"leases": [lease]}
    job = session.exec(_ONE, params=asked, execution_options=_NOW).first()
    intention = session.exec(_LEASES, params=asked, execution_options=_NOW).first() if job is not None else None
    return (intention, job) if job is not None and intention is not None else None


def pin_leases(session: Session, provider: str, leases: Sequence[str]) -> Pinned:
    """Those leases that are the provider's, pinned with their jobs. One is waited for; of several none is.

    Whoever has some and waits for another could wait for somebody who waits for it.
    """
    # Plain statements see only what is written.
    session.flush()
    connection, asked, statement = session.connection(), {"leases": leases}, _ONE if len(leases) == 1 else _FREE
    jobs = {job.id: job for job in _read(session, JobRow, prepared.rows(connection, statement, asked))}
    rows = _read(session, LeaseIntention, prepared.rows(connection, _LEASES, asked))
    found = [row for row in rows if row.provider == provider]
    return Pinned(
        leases={row.lease: (row, jobs[row.job_id]) for row in found if row.job_id in jobs},
        busy=frozenset(row.lease for row in found if row.job_id not in jobs),
    )


def _read(session: Session, kind: type[Row], rows: Iterable[Sequence[Any]]) -> list[Row]:
    names = tuple(kind.model_fields)
    return writing.read_now(session, kind, (dict(zip(names, row, strict=True)) for row in rows))
