"""The signed usage receipts that were found wrong, for the buyer to challenge by."""

import json
from typing import Literal

from sqlmodel import Session, col, select

from backend.jobs.service import order_of
from backend.jobs.tables import JobRow
from backend.leases.tables import LeaseIntention, UsageRow
from protocol.hashing import ZERO_ADDRESS
from protocol.messages import to_json
from protocol.wire.evidence import Evidence, Statement


def evidence_of(session: Session, job: JobRow) -> Evidence:
    """Against each provider that was caught, in the order in which its segments come."""
    order = order_of(job)
    found = (
        select(UsageRow, LeaseIntention.fill)
        .join(LeaseIntention, col(LeaseIntention.lease) == col(UsageRow.lease))
        .where(UsageRow.job_id == job.id, col(UsageRow.verdict).in_(("odd", "struck")))
        .order_by(col(UsageRow.sequence), col(UsageRow.lease))
    )
    return Evidence(
        order=to_json(order),
        arbiter=None if order.arbiter == ZERO_ADDRESS else order.arbiter,
        bond_base=order.bond,
        data=[_statement(row, fill) for row, fill in session.exec(found)],
    )


def _statement(row: UsageRow, fill: int) -> Statement:
    verdict: Literal["odd", "struck"] = "odd" if row.verdict == "odd" else "struck"
    return Statement(
        lease=row.lease,
        fill=fill,
        provider=row.provider,
        sequence=row.sequence,
        verdict=verdict,
        usage_receipt=json.loads(row.receipt_message),
        signature=row.receipt_signature,
    )
