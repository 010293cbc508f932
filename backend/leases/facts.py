"""Gathers what `backend.leases.lanes` decides about: the market's rows, and the leases as the mirror has them."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Select
from sqlmodel import Session, col, select

from backend.jobs.service import order_of
from backend.jobs.tables import JobRow
from backend.leases import lanes, statements
from backend.leases.tables import LeaseIntention, UsageRow
from backend.market import Market
from backend.offers.service import seconds_since
from backend.operations.lateness import Lateness
from indexer import prepared
from indexer.queries import LeaseRow, Reads
from protocol.clock import now_time
from protocol.events import EndReason, LeaseState
from protocol.hashing import from_hex
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


class ChainNow:
    """The mirror at one moment; what was asked once is not asked again."""

    def __init__(self, now: Reads, before: "ChainNow | None" = None) -> None:
        self._now = now
        self._status = now.status()
        #: unix seconds
        self.block_time = self._status.block_time
        is_same = before is not None and before._status == self._status
        self._known: dict[str, LeaseRow | None] = dict(before._known) if before is not None and is_same else {}

    def leases(self, wanted: Iterable[str]) -> dict[str, LeaseRow]:
        """Those that the mirror has, by their id in 0x hex."""
        wanted = list(wanted)
        missing = {lease: from_hex(lease, 32) for lease in wanted if lease not in self._known}
        if missing:
            read = self._now.leases_by_id(missing.values())
            self._known |= {lease: read.get(key) for lease, key in missing.items()}
        return {lease: row for lease in wanted if (row := self._known[lease]) is not None}


@contextmanager
def chain_now(market: Market, before: ChainNow | None = None) -> Iterator[ChainNow]:
    """One state of the mirror, for as long as it is open. Raises `MirrorError`.

    What was asked `before` is known already if the mirror has not moved since.
    """
    with market.mirror.snapshot() as now:
        yield ChainNow(now, before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of one job."""

    facts: lanes.JobFacts
    #: base units of the highest voucher of each lease to the provider that has it
    vouched_base: dict[str, int]


def gather(session: Session, market: Market, job: JobRow) -> lanes.JobFacts:
    """What is known of the job now."""
    with chain_now(market) as chain:
        return gather_all(session, market, [job], chain)[job.id].facts


def gather_all(
    session: Session, market: Market, jobs: Sequence[JobRow], chain: ChainNow, new: Sequence[UsageRow] = ()
) -> dict[str, Known]:
    """The same of some jobs, by their ids: as many statements as for one. `new` segments are about to be stored."""
    # Plain statements see only what is written.
    session.flush()
    found = _Found(session, [job.id for job in jobs], market.listening.lateness(session), new)
    on_chain = chain.leases(row.lease for rows in found.leases.values() for row in rows)
    leases = {job.id: _leases(found, job.id, on_chain, chain.block_time) for job in jobs}
    accepted = found.accepted({job_id: _wanted(found, job_id, some) for job_id, some in leases.items()})
    return {
        job.id: Known(
            facts=_facts(market, job, found, leases[job.id], accepted[job.id]),
            vouched_base=_vouched_base(found, job.id),
        )
        for job in jobs
    }


class _Found:
    """The market's rows about some jobs; those that are listed are in lists by job."""

    def __init__(self, session: Session, jobs: list[str], lateness: Lateness, new: Sequence[UsageRow]) -> None:
        self._session, self._jobs = session, jobs
        #: unix seconds
        self.now_time = now_time()
        self.lateness = lateness
        self.leases = self._listed(statements.LEASES)
        rows = [row for some in self.leases.values() for row in some]
        # Of each lease one at most is not decided.
        self.segments = {row.lease: row for row in (*self._rows(statements.UNDECIDED), *new)}
        # Most jobs have neither: one replica commits to nothing, and few segments are run again.
        has_commitments, has_checks = any(row.has_commitments for row in rows), any(row.has_checks for row in rows)
        self.commitments = {row.lease: row for row in self._rows(statements.COMMITTED)} if has_commitments else {}
        self.checks = self._listed(statements.CHECKS) if has_checks else defaultdict(list)
        self.sums = self._listed(statements.SUMS)

    def spot(self, job_id: str) -> Any:
        """The check before `last`, if one was drawn."""
        return next((check for check in self.checks[job_id] if check.purpose == "spot"), None)

    def accepted(self, wanted: Mapping[str, set[int]]) -> defaultdict[str, dict[int, lanes.Value]]:
        """By job and segment, of those that are asked for."""
        values: defaultdict[str, dict[int, lanes.Value]] = defaultdict(dict)
        # None is accepted beyond the last that was paid for.
        paid = {job_id: max((row.paid or 0 for row in self.sums[job_id]), default=0) for job_id in wanted}
        sequences = {sequence for job_id, some in wanted.items() for sequence in some if sequence <= paid[job_id]}
        for row in self._rows(statements.ACCEPTED, sequences=list(sequences)) if sequences else ():
            if row.sequence in wanted[row.job_id]:
                values[row.job_id][row.sequence] = value_of(row)
        return values

    def _rows(self, statement: Select[Any], **more: Any) -> Sequence[Any]:
        return prepared.named_rows(self._session.connection(), statement, {"jobs": self._jobs, **more})

    def _listed(self, statement: Select[Any]) -> defaultdict[str, list[Any]]:
        by_job: defaultdict[str, list[Any]] = defaultdict(list)
        for row in self._rows(statement):
            by_job[row.job_id].append(row)
        return by_job


def _leases(
    found: _Found, job_id: str, on_chain: Mapping[str, LeaseRow], block_time: int
) -> tuple[lanes.LeaseFacts, ...]:
    paid: dict[str, int] = {}
    for row in found.sums[job_id]:
        paid[row.lease] = max(paid.get(row.lease, 0), row.paid or 0)
    return tuple(
        lanes.LeaseFacts(
            lease=row.lease,
            fill=row.fill,
            provider=row.provider,
            chain=_on_chain(row, on_chain.get(row.lease), block_time),
            ended_time=row.ended_time if row.state == "ended" else None,
            silent_seconds=_silent_seconds(found, row.heard_time) if row.state != "ended" else 0,
            base=row.base_sequence,
            paid=max(row.base_sequence, paid.get(row.lease, 0)),
            pending=_pending(found.segments.get(row.lease), found.commitments.get(row.lease)),
            progress_time=max(row.progress_time, row.proposed_time),
        )
        for row in found.leases[job_id]
    )


def _wanted(found: _Found, job_id: str, leases: Iterable[lanes.LeaseFacts]) -> set[int]:
    """Segments whose accepted value something is compared with."""
    spot = found.spot(job_id)
    return {lease.pending.sequence for lease in leases if lease.pending} | ({spot.sequence} if spot else set())


def _vouched_base(found: _Found, job_id: str) -> dict[str, int]:
    provider = {row.lease: row.provider for row in found.leases[job_id]}
    return {row.lease: row.vouched_base for row in found.sums[job_id] if provider.get(row.lease) == row.provider}


def _facts(
    market: Market,
    job: JobRow,
    found: _Found,
    leases: tuple[lanes.LeaseFacts, ...],
    accepted: Mapping[int, lanes.Value],
) -> lanes.JobFacts:
    replicas, spot, checks = order_of(job).replicas, found.spot(job.id), found.checks[job.id]
    return lanes.JobFacts(
        rules=_rules(market, job),
        is_ended=job.state in ENDED,
        leases=leases,
        closed_lanes=frozenset(lane for lane in range(replicas) if job.closed_lanes >> lane & 1),
        accepted=accepted,
        ties={check.sequence: _check(check) for check in checks if check.purpose == "tie"},
        spot=_check(spot) if spot and spot.state != "spared" else None,
        is_spared=spot is not None and spot.state == "spared",
        begun_time=min((row.proposed_time for row in found.leases[job.id]), default=found.now_time),
        now_time=found.now_time,
        lateness=found.lateness,
    )


def _silent_seconds(found: _Found, heard_time: int | None) -> int:
    return found.lateness.waited_seconds(heard_time, found.now_time) if heard_time is not None else seconds_since(None)


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


def value_of(row: Any) -> lanes.Value:
    """What the lane says that the segment came to; of a `UsageRow`, or of its columns."""
    receipt = json.loads(row.receipt_message)
    return lanes.Value(
        result=receipt["result"],
        state_hash=row.state_hash,
        work=row.job_work,
        checkpoint=receipt["checkpoint"],
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
