"""How leases end other than by a result: cancelled by the buyer, faulty or silent providers, failover."""

from sqlmodel import Session, col, select

from backend.jobs.service import end_job, order_of
from backend.jobs.tables import JobRow
from backend.leases.tables import LeaseIntention
from backend.market import Market
from backend.offers.service import silent_seconds
from backend.submission import intents
from indexer.queries import LeaseRow
from protocol.clock import now_time
from protocol.events import EndReason, LeaseState
from protocol.hashing import from_hex
from protocol.wire.jobs import ENDED


def live_intentions(session: Session, job_id: str) -> list[LeaseIntention]:
    statement = select(LeaseIntention).where(
        LeaseIntention.job_id == job_id, col(LeaseIntention.state).in_(("proposed", "running"))
    )
    return list(session.exec(statement))


def cancel_job(session: Session, market: Market, job: JobRow) -> None:
    """Ends the job. Each live lease gets a `last` voucher over what was vouched for: paid, and the rest comes back."""
    if job.state in ENDED:
        return
    end_job(session, job, "canceled", "cancelled by the buyer")
    for intention in live_intentions(session, job.id):
        intention.state = "ended"
        intention.last_signed_time = now_time()
        session.add(intention)


def report_failure(session: Session, intention: LeaseIntention, reason: str) -> None:
    """The provider gives up: its lease is closed and the next fill is let to somebody else."""
    _give_up(session, intention, EndReason.FAULTY, f"provider {intention.provider}: {reason}")


def _give_up(session: Session, intention: LeaseIntention, reason: EndReason, why: str) -> None:
    if intention.state not in ("proposed", "running"):
        return
    intention.state = "ended"
    intention.closing_reason = int(reason)
    session.add(intention)
    intents.add(session, "close", intention.lease, {"reason": int(reason)})
    job = session.get_one(JobRow, intention.job_id)
    requeue(session, job, why)


def requeue(session: Session, job: JobRow, why: str) -> None:
    """The job waits for its next fill, or fails where the order has none left."""
    if job.state in ENDED:
        return
    max_leases = order_of(job).max_leases
    if job.next_fill >= max_leases:
        end_job(session, job, "failed", f"all {max_leases} leases ended without a result; last: {why}")
        return
    job.state = "queued"
    job.failure = why
    session.add(job)


def sweep_silent(session: Session, market: Market) -> None:
    """A provider that is not heard loses its lease; the work goes on elsewhere from the last paid checkpoint."""
    statement = select(LeaseIntention).where(col(LeaseIntention.state).in_(("proposed", "running")))
    block_time = market.mirror.status().block_time
    for intention in session.exec(statement).all():
        lease = market.mirror.lease(from_hex(intention.lease, 32))
        if lease is None:
            continue
        if lease.state is not LeaseState.OPEN or block_time >= lease.deadline_time:
            _ended_on_chain(session, intention, lease)
        elif silent_seconds(session, intention.provider) > market.settings.provider_silence_seconds:
            _give_up(session, intention, EndReason.UNRESPONSIVE, f"provider {intention.provider} went silent")


def _ended_on_chain(session: Session, intention: LeaseIntention, lease: LeaseRow) -> None:
    """Its time ran out, or somebody else of the buyer's side closed it."""
    intention.state = "ended"
    session.add(intention)
    job = session.get_one(JobRow, intention.job_id)
    if lease.done or lease.state is LeaseState.OPEN:
        # A lane whose duration is over is done: the ledger opens no later fill.
        end_job(session, job, "expired", "the lease's duration ended before the job did")
    else:
        requeue(session, job, f"the lease of {intention.provider} was closed")
