"""Carries out what `backend.leases.lanes` decides, in the transaction that it was decided in."""

import json
import secrets
from collections.abc import Sequence
from typing import Any, Final

import structlog
from sqlalchemy import select as columns_of
from sqlmodel import Session, col, select

from backend.events import writing
from backend.jobs.pinning import pin
from backend.jobs.service import end_job
from backend.jobs.tables import JobLogRow, JobRow
from backend.leases import lanes
from backend.leases.facts import ChainNow, Known, chain_now, gather_all, intentions_of
from backend.leases.segments import undo_from, waiting_segment
from backend.leases.tables import CheckRow, JobNoteRow, LeaseIntention, UsageRow
from backend.leases.vouchers import NONE_AHEAD, Ahead, pay
from backend.market import Market
from backend.offers.tables import ProviderRow
from backend.submission import intents
from indexer import prepared
from protocol.clock import now_milliseconds, now_time
from protocol.events import EndReason, LeaseState
from protocol.wire.jobs import ENDED

log = structlog.get_logger()

_ROUNDS: Final = 16
"""Each round decides something for good; what is left after so many waits for the next step."""

_TOGETHER: Final = 8
"""Jobs that are judged in one transaction: whoever buys meanwhile waits for it."""

# Built once: each step runs them.
_IS_LIVE: Final = col(LeaseIntention.state).in_(("proposed", "running"))
_LIVE: Final = columns_of(
    col(LeaseIntention.lease),
    col(LeaseIntention.job_id),
    col(LeaseIntention.provider),
    col(LeaseIntention.progress_time),
).where(_IS_LIVE)
_HEARD: Final = columns_of(col(ProviderRow.address), col(ProviderRow.heard_time))
_OVER: Final = (
    columns_of(col(JobRow.id))
    .join(LeaseIntention, col(LeaseIntention.job_id) == col(JobRow.id))
    .where(_IS_LIVE, col(JobRow.state).in_(ENDED))
)
_UNDECIDED: Final = columns_of(col(UsageRow.job_id)).where(col(UsageRow.verdict) == "waiting").distinct()


def judge(session: Session, market: Market, job: JobRow) -> None:
    """Decides and does what is due for the job, until nothing is. Whoever calls it has pinned the job."""
    with chain_now(market) as chain:
        judge_all(session, market, [job], chain)


def judge_all(
    session: Session,
    market: Market,
    jobs: Sequence[JobRow],
    chain: ChainNow,
    new: Sequence[UsageRow] = (),
    ahead: Ahead = NONE_AHEAD,
) -> None:
    """The same for some jobs, by the mirror of one moment, with their `new` segments, which are stored by it.

    Vouchers that were signed `ahead` are not signed again.
    """
    left = list(jobs)
    for _ in range(_ROUNDS):
        if not left:
            return
        known = gather_all(session, market, left, chain, new)
        decided = [(job, known[job.id], lanes.decide(known[job.id].facts)) for job in left]
        plain = [one for one in decided if all(isinstance(action, lanes.Accept) for action in one[2])]
        with writing.together(session):
            writing.put_all(session, new)
            left = [one[0] for one in plain if _act(session, market, *one, chain, ahead)]
        new = ()
        left += [one[0] for one in decided if one not in plain and _act(session, market, *one, chain, ahead)]


def _act(
    session: Session,
    market: Market,
    job: JobRow,
    known: Known,
    actions: Sequence[lanes.Action],
    chain: ChainNow,
    ahead: Ahead,
) -> bool:
    """Whether something may be left to decide."""
    if not actions:
        _settle_state(session, job, known.facts)
        return False
    for action in actions:
        if isinstance(action, lanes.Accept):
            _accept(session, market, job, action, known, chain, ahead)
        else:
            _do(session, job, action)
    if job.state in ENDED and not _is_let(session, known.facts):
        # Nothing is left to decide about it.
        writing.change(session, job, wants_lease=False)
        return False
    return True


def _is_let(session: Session, facts: lanes.JobFacts) -> bool:
    """Whether one of the leases that ran is not given up yet."""
    return any(writing.known(session, LeaseIntention, lease.lease).state != "ended" for lease in facts.live)


def sweep(market: Market) -> None:
    """Judges each job whose leases do not simply run on, a few in one transaction."""
    with market.db.read() as session:
        rows = prepared.rows(session.connection(), _LIVE, {})
        if not rows:
            return
        ours = {job_id for _, job_id, _, _ in rows}
        troubled = ours & (_troubled(session, market, rows) | _undecided(session))
    jobs = sorted(troubled)
    for start in range(0, len(jobs), _TOGETHER):
        with market.db.write() as session:
            for job_id in jobs[start : start + _TOGETHER]:
                judge(session, market, pin(session, job_id))


def _troubled(session: Session, market: Market, live: Sequence[Sequence[Any]]) -> set[str]:
    """Jobs that are over, or one of whose leases has ended, is not heard, or sends nothing."""
    now = now_time()
    status, on_chain = market.leases_on_chain.look(lease for lease, _, _, _ in live)
    lateness = market.listening.lateness(session)
    heard: dict[str, int] = dict(prepared.rows(session.connection(), _HEARD, {}))
    silent = {
        provider
        for provider in {provider for _, _, provider, _ in live}
        if lateness.waited_seconds(heard.get(provider, 0), now) > market.settings.silence_seconds
    }
    over = prepared.rows(session.connection(), _OVER, {})
    troubled, patience = {job_id for (job_id,) in over}, market.settings.lane_patience_seconds
    for lease_id, job_id, provider, progress_time in live:
        lease = on_chain.get(lease_id)
        if lease is None:
            continue
        has_ended = lease.state is not LeaseState.OPEN or status.block_time >= lease.deadline_time
        is_slow = lateness.waited_seconds(progress_time, now) > patience
        if has_ended or is_slow or provider in silent:
            troubled.add(job_id)
    return troubled


def _undecided(session: Session) -> set[str]:
    """Jobs with a segment that was sent and is not decided."""
    return {job_id for (job_id,) in prepared.rows(session.connection(), _UNDECIDED, {})}


def note(session: Session, job: JobRow, text: str) -> None:
    """Tells the buyer what happened."""
    session.add(JobNoteRow(job_id=job.id, text=text, noted_time=now_time()))
    log.info("job.noted", job=job.id, text=text)


def _settle_state(session: Session, job: JobRow, facts: lanes.JobFacts) -> None:
    """The job's word and whether the auction has to look at it."""
    if facts.is_ended:
        writing.change(session, job, wants_lease=False)
    elif facts.leases:
        state, wants_lease = job.state, any(lane.state is lanes.LaneState.WAITING for lane in facts.lanes)
        if not facts.live:
            state = "queued"
        elif facts.spot is not None and facts.spot.is_running:
            state = "verifying"
        elif state == "verifying":
            state = "running"
        writing.change(session, job, state=state, wants_lease=wants_lease)


def _do(session: Session, job: JobRow, action: lanes.Action) -> None:
    match action:
        case lanes.Close() | lanes.Drop():
            give_up(session, job, action)
        case lanes.Settle():
            _settle(session, session.get_one(LeaseIntention, action.lease))
        case lanes.Replay():
            session.add(CheckRow(job_id=job.id, sequence=action.sequence, purpose="tie", state="due"))
            note(session, job, f"{action.why}; the market runs it")
        case lanes.Draw():
            session.add(_drawn(job, action.sequence))
        case lanes.Strike():
            _strike(session, job, action)
        case lanes.End():
            end_job(session, job, action.state, _with_last_note(action.why, job))


def _with_last_note(why: str, job: JobRow) -> str:
    return f"{why}; last: {job.failure}" if job.failure and job.failure not in why else why


def give_up(session: Session, job: JobRow, action: lanes.Close | lanes.Drop) -> None:
    """The lease is done with; what it sent and was not paid for counts no more."""
    intention = session.get_one(LeaseIntention, action.lease)
    _end(session, intention)
    _undo_waiting(session, intention, "odd" if isinstance(action, lanes.Close) and action.is_caught else "void")
    if isinstance(action, lanes.Close):
        intention.closing_reason = int(action.reason)
        intention.caught = action.is_caught
        intents.add(session, "close", intention.lease, {"reason": int(action.reason)})
    else:
        # Should a reorg undo its end it is closed: nobody works under it, and the lane's next fill waits for that.
        intention.closing_reason = int(EndReason.UNRESPONSIVE)
    job.failure = action.why
    note(session, job, action.why)


def _settle(session: Session, intention: LeaseIntention) -> None:
    """The lease ends with a `last` voucher over what was vouched for: paid, and the rest comes back."""
    _end(session, intention)
    _undo_waiting(session, intention, "void")
    intention.last_signed_time = now_time()


def _end(session: Session, intention: LeaseIntention) -> None:
    intention.state = "ended"
    intention.ended_time = now_time()
    session.add(intention)


def _undo_waiting(session: Session, intention: LeaseIntention, verdict: str) -> None:
    """What the lease sent and was not paid for counts no more."""
    row = waiting_segment(session, intention.lease)
    if row is not None:
        row.verdict = verdict
        session.add(row)


def _accept(
    session: Session,
    market: Market,
    job: JobRow,
    action: lanes.Accept,
    known: Known,
    chain: ChainNow,
    ahead: Ahead,
) -> None:
    on_chain, vouched_base = chain.leases(action.leases), known.vouched_base
    rows = []
    for lease in action.leases:
        intention = writing.known(session, LeaseIntention, lease)
        row = writing.known(session, UsageRow, lease, intention.provider, action.sequence)
        rows.append(row)
        countersignature = pay(
            session, market, job, row, on_chain[lease], ahead, before_base=vouched_base.get(lease, 0)
        )
        vouched_base[lease] = row.cumulative_base
        now = now_time()
        changes: dict[str, Any] = {"progress_time": now, "state": "running"}
        if row.last:
            changes |= {"state": "ended", "ended_time": now, "last_signed_time": now}
        if countersignature is not None and intention.countersignature is None:
            changes["countersignature"] = countersignature
        writing.change(session, intention, **changes)
    advance(session, job, rows[0], cost_base=sum(vouched_base.values()))


def advance(session: Session, job: JobRow, row: UsageRow, *, cost_base: int) -> None:
    """The job is as far as this accepted segment, if it was not further before, and costs so much by now."""
    if row.log_text and session.get(JobLogRow, (job.id, row.sequence)) is None:
        session.add(JobLogRow(job_id=job.id, sequence=row.sequence, text=row.log_text))
    changes: dict[str, Any] = {"state": "running", "cost_base": cost_base}
    if row.sequence > job.segments_done:
        changes |= {"segments_done": row.sequence, "work": row.job_work}
    if row.result_info is not None:
        changes |= _end_with(job, row.result_info)
    writing.change(session, job, **changes)


def _end_with(job: JobRow, result: str) -> dict[str, Any]:
    """What the job's end changes of it."""
    info = json.loads(result)
    has_succeeded = info["status"] == "succeeded"
    return {
        "result": result,
        "segments_done": job.segments_total,
        "state": "succeeded" if has_succeeded else "failed",
        "failure": None if has_succeeded else f"the job ended with {info['status']}, exit code {info['exit_code']}",
        "ended_ms": now_milliseconds(),
    }


def _drawn(job: JobRow, sequence: int) -> CheckRow:
    """Drawn after all is committed to, so that nobody can know it; stored, so that nobody can have it drawn again."""
    is_spared = secrets.randbelow(10_000) >= job.check_rate_bps
    chosen = 1 + secrets.randbelow(sequence)
    return CheckRow(job_id=job.id, sequence=chosen, purpose="spot", state="spared" if is_spared else "due")


def _strike(session: Session, job: JobRow, action: lanes.Strike) -> None:
    for row in session.exec(
        select(UsageRow).where(
            UsageRow.job_id == job.id, UsageRow.verdict == "paid", UsageRow.sequence >= action.sequence
        )
    ):
        row.verdict = "struck"
        session.add(row)
    undo_from(session, job, action.sequence)
    note(session, job, action.why)


def reopen(session: Session, market: Market, job: JobRow, why: str) -> None:
    """A lease that was proposed was not opened: its lane waits for another."""
    if job.state in ENDED:
        return
    job.failure = why
    job.wants_lease = True
    if not any(row.state != "ended" for row in intentions_of(session, job.id)):
        job.state = "queued"
    session.add(job)
    judge(session, market, job)


def close_lane(session: Session, market: Market, job: JobRow, fill: int, replicas: int, why: str) -> None:
    """The ledger opens no more of this lane, for the buyer's sake; the job fails if no lane has a lease."""
    job.closed_lanes |= 1 << fill % replicas
    note(session, job, why)
    if not intentions_of(session, job.id):
        end_job(session, job, "failed", why)
        return
    reopen(session, market, job, why)
