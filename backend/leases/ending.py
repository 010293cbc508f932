"""How leases end by somebody's word: cancelled by the buyer, given up by the provider."""

from sqlmodel import Session

from backend.jobs.service import end_job
from backend.jobs.tables import JobRow
from backend.leases.acting import give_up, judge
from backend.leases.lanes import Close
from backend.leases.tables import LeaseIntention
from backend.market import Market
from protocol.events import EndReason
from protocol.wire.jobs import ENDED


def cancel_job(session: Session, market: Market, job: JobRow) -> None:
    """Ends the job, which is pinned.

    Each live lease gets a `last` voucher over what was vouched for: paid, and the rest comes back.
    """
    if job.state in ENDED:
        return
    end_job(session, job, "canceled", "cancelled by the buyer")
    judge(session, market, job)


def report_failure(session: Session, market: Market, intention: LeaseIntention, job: JobRow, *, reason: str) -> None:
    """The provider gives up: its lease is closed and the next fill is let to somebody else. Both are pinned."""
    if intention.state == "ended":
        return
    why = f"provider {intention.provider}: {reason}"
    give_up(session, job, Close(lease=intention.lease, reason=EndReason.FAULTY, why=why))
    judge(session, market, job)
