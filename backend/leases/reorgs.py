"""What a reorg does to a job's leases (SPEC "Reorgs"): one is gone, is there again, or is another provider's.

A voucher names a lease and its provider, so segments count for as long as that provider has that lease. Vouchers are
never forgotten: one that was signed before a reorg is good again when both are so again, and is counted again.
"""

from collections.abc import Sequence
from typing import Final

import structlog
from sqlalchemy import update
from sqlmodel import Session, col, delete, select

from backend.files.access import lane_of
from backend.jobs.pinning import pin_lease
from backend.jobs.tables import JobRow
from backend.leases.acting import advance, judge, note
from backend.leases.facts import intentions_of
from backend.leases.segments import lane_segments, undo_from, usages, vouched_base
from backend.leases.tables import CommitmentRow, LeaseIntention, UsageRow
from backend.market import Market
from indexer.queries import LeaseRow
from protocol.clock import now_time
from protocol.hashing import to_hex
from protocol.wire.jobs import ENDED

log = structlog.get_logger()

_CHUNK: Final = 500


def confirm_all(session: Session, market: Market, leases: Sequence[str]) -> None:
    """`confirm` of many; of nearly all there is nothing from before a reorg, and one statement does."""
    for start in range(0, len(leases), _CHUNK):
        some = leases[start : start + _CHUNK]
        lapsed = select(UsageRow.lease).where(col(UsageRow.lease).in_(some), UsageRow.verdict == "lapsed").distinct()
        returned = set(session.exec(lapsed))
        # It could not be served before, however long it waited to be opened.
        there = {"state": "running", "progress_time": now_time()}
        new = col(LeaseIntention.lease).in_([lease for lease in some if lease not in returned])
        proposed = col(LeaseIntention.state) == "proposed"
        session.connection().execute(update(LeaseIntention).where(new, proposed).values(there))
        for lease in sorted(returned):
            pinned = pin_lease(session, lease)
            if pinned is not None:
                confirm(session, market, *pinned)


def confirm(session: Session, market: Market, intention: LeaseIntention, job: JobRow) -> None:
    """The mirror shows the lease as it was proposed. What its provider did under it before a reorg counts again.

    Both are pinned.
    """
    if intention.state != "proposed":
        return
    intention.state, intention.progress_time = "running", now_time()
    session.add(intention)
    if job.state not in ENDED and _revive(session, job, intention):
        judge(session, market, job)


def adopt(session: Session, market: Market, lease: LeaseRow) -> None:
    """The mirror shows the lease otherwise than it was proposed, or though it was given up: the ledger decides."""
    job = session.exec(select(JobRow).where(JobRow.order_digest == to_hex(lease.order)).with_for_update()).one()
    proposed = session.get(LeaseIntention, to_hex(lease.lease))
    log.warning(
        "lease.adopted",
        lease=to_hex(lease.lease),
        proposed=proposed.provider if proposed else None,
        provider=lease.provider,
    )
    if proposed is not None:
        withdraw(session, job, proposed, "the chain gave it to another provider")
    rows = _before(session, job, lease.fill)
    intention = LeaseIntention(
        lease=to_hex(lease.lease),
        job_id=job.id,
        fill=lease.fill,
        provider=lease.provider,
        offer_digest=to_hex(lease.offer),
        rate=lease.rate,
        zone=lease.zone,
        state="running",
        base_work=rows[-1].job_work if rows else 0,
        base_sequence=rows[-1].sequence if rows else 0,
        proposed_time=now_time(),
        progress_time=now_time(),
    )
    session.add(intention)
    session.flush()
    if job.state not in ENDED:
        job.state = "matched" if job.state == "queued" else job.state
        _revive(session, job, intention)
    job.cost_base = vouched_base(session, job.id)
    session.add(job)
    judge(session, market, job)


def _before(session: Session, job: JobRow, fill: int) -> list[UsageRow]:
    """What the lane's earlier leases were paid for."""
    lane = lane_of(job, fill)
    earlier = {row.lease for row in intentions_of(session, job.id) if row.fill < fill}
    return [row for row in lane_segments(session, job.id, lane) if row.lease in earlier]


def withdraw(session: Session, job: JobRow, intention: LeaseIntention, why: str) -> None:
    """The lease is not there: nothing that it was paid for is paid, unless it comes back to its provider.

    Of a job that has ended, result and trace stay; one that has not runs the segments again.
    """
    lost = 0 if job.state in ENDED else _lapse(session, job, intention)
    session.delete(intention)
    session.flush()
    before_base, job.cost_base = job.cost_base, vouched_base(session, job.id)
    session.add(job)
    unpaid_base = before_base - job.cost_base
    if lost or unpaid_base:
        text = f"a reorg took the lease of provider {intention.provider} ({why})"
        text += f"; the segments from {job.segments_done + 1} on run again" if lost else ""
        note(session, job, text + (f"; it is not paid {unpaid_base} base units" if unpaid_base else ""))


def is_owed(session: Session, job: JobRow, intention: LeaseIntention) -> bool:
    """Whether a voucher of this lease, or of a later one of its lane that cannot open without it, was signed."""
    lane = lane_of(job, intention.fill)
    statement = (
        select(LeaseIntention.fill)
        .join(UsageRow, col(UsageRow.lease) == col(LeaseIntention.lease))
        .where(
            LeaseIntention.job_id == job.id,
            LeaseIntention.fill >= intention.fill,
            col(UsageRow.provider) == col(LeaseIntention.provider),
            col(UsageRow.cumulative_base) > 0,
        )
    )
    return any(lane_of(job, fill) == lane for fill in session.exec(statement))


def _lapse(session: Session, job: JobRow, intention: LeaseIntention) -> int:
    """Returns how many segments of the job are accepted no more."""
    ours = (col(UsageRow.lease) == intention.lease) & (col(UsageRow.provider) == intention.provider)
    for row in session.exec(select(UsageRow).where(ours)):
        if row.verdict == "paid":
            row.verdict = "lapsed"
            session.add(row)
        elif row.verdict == "waiting":
            session.delete(row)
    session.exec(delete(CommitmentRow).where(col(CommitmentRow.lease) == intention.lease))
    session.flush()
    done = job.segments_done
    still = usages(session, job.id)
    left = still[-1].sequence if still else 0
    if left < done:
        undo_from(session, job, left + 1)
    return done - left


def _revive(session: Session, job: JobRow, intention: LeaseIntention) -> bool:
    """What lapsed counts again if the lease goes on from where it did before, and nobody was paid for else."""
    rows = session.exec(
        select(UsageRow)
        .where(
            UsageRow.lease == intention.lease,
            UsageRow.provider == intention.provider,
            UsageRow.verdict == "lapsed",
        )
        .order_by(col(UsageRow.sequence))
    ).all()
    accepted = {row.sequence: row.state_hash for row in usages(session, job.id)}
    follows = [row.sequence for row in rows] == [intention.base_sequence + 1 + index for index in range(len(rows))]
    if not rows or not follows:
        return False
    if any(row.job_work - row.lease_work != intention.base_work for row in rows):
        return False
    if any(accepted.get(row.sequence, row.state_hash) != row.state_hash for row in rows):
        return False
    for row in rows:
        row.verdict = "paid"
        session.add(row)
        advance(session, job, row, cost_base=vouched_base(session, job.id))
    note(session, job, f"the lease of provider {intention.provider} is back: {len(rows)} segments count again")
    return True
