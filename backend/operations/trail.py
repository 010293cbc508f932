"""From an HTTP request to the transactions that it led to, and back."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam
from sqlalchemy import select as columns_of
from sqlmodel import Session, col, select

from backend.jobs.tables import JobRow
from backend.leases.tables import LeaseIntention
from backend.submission.tables import IntentRow, TransactionRow

# Built once: each transaction runs it.
_REQUESTS: Final = (
    columns_of(col(JobRow.request_id))
    .join(LeaseIntention, col(LeaseIntention.job_id) == col(JobRow.id))
    .where(
        col(LeaseIntention.lease).in_(bindparam("leases", expanding=True)),
        col(JobRow.request_id).is_not(None),
    )
    .distinct()
    .order_by(col(JobRow.request_id))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """One intent of a job, and what carries it."""

    request_id: str
    job_id: str
    lease: str
    intent: str
    intent_state: str
    tx_hash: str | None
    tx_state: str | None


def requests_of(session: Session, leases: Iterable[str]) -> list[str]:
    """The requests that these leases (0x hex) go back to, for a line of the log."""
    found = session.connection().execute(_REQUESTS, {"leases": list(leases)}).scalars()
    return [request_id for request_id in found if request_id is not None]


def follow(session: Session, request_id: str) -> list[Footprint]:
    """Everything that a request led to, oldest first."""
    statement = (
        select(JobRow.id, LeaseIntention.lease, IntentRow, TransactionRow)
        .join(LeaseIntention, col(LeaseIntention.job_id) == col(JobRow.id))
        .join(IntentRow, col(IntentRow.subject) == col(LeaseIntention.lease))
        .outerjoin(TransactionRow, col(TransactionRow.id) == col(IntentRow.transaction_id))
        .where(JobRow.request_id == request_id)
        .order_by(col(IntentRow.id))
    )
    return [
        Footprint(
            request_id=request_id,
            job_id=job_id,
            lease=lease,
            intent=intent.kind,
            intent_state=intent.state,
            tx_hash=None if sent is None else sent.tx_hash,
            tx_state=None if sent is None else sent.state,
        )
        for job_id, lease, intent, sent in session.exec(statement).all()
    ]
