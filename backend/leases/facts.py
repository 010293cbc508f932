"""Gathers what `backend.leases.lanes` decides about: the market's rows, and the leases as the mirror has them."""

import json
from functools import lru_cache
from typing import Any

from sqlmodel import Session, col, select

from backend.jobs.service import order_of
from backend.jobs.tables import JobRow
from backend.leases import lanes, statements
from backend.leases.tables import LeaseIntention
from backend.market import Market
from backend.offers.service import seconds_since
from backend.operations.lateness import Lateness
from indexer.queries import LeaseRow
from protocol.clock import now_time
from protocol.events import EndReason, LeaseState
from protocol.hashing import from_hex, sha256_of_cid, to_hex
from protocol.wire.jobs import ENDED

_WALL_GRACE_SECONDS = 60
"""A job's wall-clock limit is for running alone; fetching and sending come on top."""

_ENDED_BY = {
    EndReason.UNRESPONSIVE: "was closed: it did not answer",
    EndReason.FAULTY: "was closed: it was faulty",
    EndReason.CANCELLED: "was cancelled by the buyer on chain",
    EndReason.RESIGNED: "ended: it resigned",
    EndReason.EXPIRED: "ended by its duration",
    EndReason.CLAIMED: "was claimed on chain",
}


def intentions_of(session: Session, job_id: str) -> list[LeaseIntention]:
    """All leases that were proposed for the job, in the order of their fills."""
    statement = select(LeaseIntention).where(LeaseIntention.job_id == job_id).order_by(col(LeaseIntention.fill))
    return list(session.exec(statement))


def gather(session: Session, market: Market, job: JobRow) -> lanes.JobFacts:
    """What is known of the job now."""
    # Plain statements see only what is written.
    session.flush()
    order, asked = order_of(job), {"job": job.id}
    ask = session.connection().execute
    rows = ask(statements.LEASES_OF_JOB, asked).all()
    with market.mirror.snapshot() as now:
        on_chain = now.leases_by_id([from_hex(row.lease, 32) for row in rows])
        block_time = now.status().block_time
    # Of each lease one at most is not decided.
    segments = {row.lease: row for row in ask(statements.UNDECIDED, asked)}
    commitments = {row.lease: row for row in ask(statements.COMMITTED, asked)}
    checks = ask(statements.CHECKS, asked).all()
    lateness, now_seconds = market.listening.lateness(session), now_time()
    spot = next((check for check in checks if check.purpose == "spot"), None)
    paid: dict[str, int] = dict(ask(statements.PAID, asked).tuples().all())
    leases = tuple(
        lanes.LeaseFacts(
            lease=row.lease,
            fill=row.fill,
            provider=row.provider,
            chain=_on_chain(row, on_chain.get(from_hex(row.lease, 32)), block_time),
            ended_time=row.ended_time if row.state == "ended" else None,
            silent_seconds=_silent_seconds(lateness, row.heard_time, now_seconds) if row.state != "ended" else 0,
            base=row.base_sequence,
            paid=max(row.base_sequence, paid.get(row.lease, 0)),
            pending=_pending(segments.get(row.lease), commitments.get(row.lease)),
            progress_time=max(row.progress_time, row.proposed_time),
        )
        for row in rows
    )
    wanted = {lease.pending.sequence for lease in leases if lease.pending}
    return lanes.JobFacts(
        rules=_rules(market, job),
        is_ended=job.state in ENDED,
        leases=leases,
        closed_lanes=frozenset(lane for lane in range(order.replicas) if job.closed_lanes >> lane & 1),
        accepted=_accepted(session, job.id, wanted | ({spot.sequence} if spot else set())),
        ties={check.sequence: _check(check) for check in checks if check.purpose == "tie"},
        spot=_check(spot) if spot and spot.state != "spared" else None,
        is_spared=spot is not None and spot.state == "spared",
        begun_time=min((row.proposed_time for row in rows), default=now_seconds),
        now_time=now_seconds,
        lateness=lateness,
    )


def _silent_seconds(lateness: Lateness, heard_time: int | None, now_seconds: int) -> int:
    return lateness.waited_seconds(heard_time, now_seconds) if heard_time is not None else seconds_since(None)


def _rules(market: Market, job: JobRow) -> lanes.Rules:
    order, settings = order_of(job), market.settings
    is_exact, wall_seconds = _promise(job.manifest)
    return lanes.Rules(
        replicas=order.replicas,
        quorum=max(job.quorum, order.replicas // 2 + 1),
        max_leases=order.max_leases,
        is_exact=is_exact,
        notice_seconds=order.notice,
        silence_seconds=settings.silence_seconds,
        patience_seconds=settings.lane_patience_seconds,
        wall_seconds=wall_seconds + _WALL_GRACE_SECONDS,
    )


# It was checked when the job came in.
@lru_cache(4096)
def _promise(manifest: str) -> tuple[bool, int]:
    """Whether anybody can run it again to the same result, and the seconds that it may take."""
    read = json.loads(manifest)
    return read["verify"] == "exact", read["limits"]["wall_seconds"]


def _on_chain(row: Any, lease: LeaseRow | None, block_time: int) -> lanes.OnChain | None:
    if lease is None or lease.provider != row.provider:
        # After a reorg somebody else can have it; what follows from that is `backend.leases.reorgs`'s.
        return None
    has_run_out = lease.state is LeaseState.OPEN and block_time >= lease.deadline_time
    return lanes.OnChain(
        is_open=lease.state is LeaseState.OPEN and not has_run_out,
        has_run_out=has_run_out or lease.reason is EndReason.EXPIRED,
        is_done=has_run_out or lease.done,
        ended_by="ended by its duration" if has_run_out else _ENDED_BY.get(lease.reason, "was settled on chain"),
    )


def _pending(sent: Any, commitment: Any) -> lanes.Pending | None:
    if sent is not None:
        return lanes.Pending(sequence=sent.sequence, since_time=sent.received_time, value=value_of(sent))
    if commitment is not None:
        return lanes.Pending(sequence=commitment.sequence, since_time=commitment.committed_time, value=None)
    return None


def _accepted(session: Session, job_id: str, wanted: set[int]) -> dict[int, lanes.Value]:
    ask = session.connection().execute
    return {
        sequence: value_of(row)
        for sequence in wanted
        for row in ask(statements.ACCEPTED, {"job": job_id, "sequence": sequence})
    }


def value_of(row: Any) -> lanes.Value:
    """What the lane says that the segment came to; of a `UsageRow`, or of its columns."""
    receipt = json.loads(row.receipt_message)
    return lanes.Value(
        result=receipt["result"],
        state_hash=row.state_hash,
        work=row.job_work,
        checkpoint=to_hex(sha256_of_cid(row.checkpoint_cid)),
        is_end=row.result_info is not None,
    )


def _check(row: Any) -> lanes.Check:
    found = json.loads(row.found) if row.found else {}
    start_is_wrong = bool(found.get("start_is_wrong"))
    return lanes.Check(
        sequence=row.sequence,
        is_running=row.state in ("due", "running"),
        found=lanes.Value(**found["value"]) if found.get("value") else None,
        start_is_wrong=start_is_wrong,
        why=row.why,
    )
