"""What changes a job also says so, in the same transaction: nobody who writes a row can forget the event of it.

Rows are noted as they are written and told when the transaction commits: by then each job is there, and its row is
locked for no longer than the commit takes. The number of an event is given under that lock, so numbers of one job
appear in their order whatever runs side by side.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Boolean, Integer, bindparam, event, insert, inspect, or_, update
from sqlalchemy.orm import Session as OrmSession
from sqlalchemy.orm.attributes import get_history
from sqlmodel import Session, col

from backend.db import Database
from backend.events.tables import JobEventRow
from backend.jobs.tables import JobLogRow, JobRow
from backend.leases.tables import LeaseIntention, UsageRow
from backend.webhooks.outbox import Event, enqueue
from indexer import prepared
from protocol.clock import now_milliseconds
from protocol.wire.jobs import ENDED

_NOTED: Final = "gridlease.noted"
_COUNTED: Final = "gridlease.counted"
"""Job → buyer of jobs whose first event is counted in the row that was inserted."""
_CHUNK: Final = 500
_spelt: Final = json.JSONEncoder(separators=(",", ":")).encode
# Built once: every transaction that changes a job runs them.
_INSERT: Final = insert(JobEventRow).values(retracted=False)
_COUNT: Final = (
    update(JobRow)
    .where(col(JobRow.id).in_(bindparam("jobs", expanding=True)))
    .values(
        event_count=col(JobRow.event_count) + bindparam("count", type_=Integer()),
        settle_due=or_(col(JobRow.settle_due), bindparam("settling", type_=Boolean())),
    )
    .returning(col(JobRow.id), col(JobRow.buyer), col(JobRow.event_count))
)
#: after these the job's settlement may have ended, and after a lease.closed, which is told where that is looked at
_SETTLING: Final = frozenset({*(f"job.{state}" for state in ENDED), "lease.skipped"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An event as it is noted; `place` orders what one transaction says of a job."""

    job_id: str
    kind: str
    data: dict[str, Any]
    block_number: int | None = None
    block_hash: str | None = None
    place: int = 0


def install(db: Database) -> None:
    """From now on the database's transactions tell what they do to jobs."""
    event.listen(db.sessions, "before_flush", _note)
    event.listen(db.sessions, "before_commit", _tell)


def say(session: Session, told: Told) -> None:
    """Notes an event that no row of the market shows, such as a fact of the chain."""
    _noted(session).append(told)


def note_new(session: OrmSession, row: object) -> None:
    """The row is new; one of a job may count the event of that already, which saves to change it at once."""
    _noted(session).extend(_of_new(row))
    if isinstance(row, JobRow) and row.event_count == 1:
        session.info.setdefault(_COUNTED, {})[row.id] = row.buyer


def note_state(session: OrmSession, job: JobRow) -> None:
    """The job's state is another."""
    _noted(session).append(_state(job))


def told_proposed(intention: Mapping[str, Any]) -> Told:
    """A lease intention was added; who inserts many by their columns says so of each."""
    data = {name: intention[name] for name in ("lease", "fill", "provider", "rate")}
    return Told(job_id=intention["job_id"], kind="lease.proposed", data=data)


def _noted(session: OrmSession) -> list[Told]:
    noted: list[Told] = session.info.setdefault(_NOTED, [])
    return noted


def _note(session: OrmSession, *_: object) -> None:
    for row in session.new:
        note_new(session, row)
    for row in session.dirty:
        if isinstance(row, JobRow) and get_history(row, "state").has_changes():
            note_state(session, row)
    for row in session.deleted:
        if isinstance(row, LeaseIntention):
            data = {"lease": row.lease, "fill": row.fill, "provider": row.provider}
            _noted(session).append(Told(job_id=row.job_id, kind="lease.skipped", data=data))


def _of_new(row: object) -> Iterator[Told]:
    if isinstance(row, JobRow):
        yield _state(row)
    elif isinstance(row, LeaseIntention):
        yield told_proposed(row.model_dump())
    elif isinstance(row, JobLogRow):
        # The text stays where it is; only its place is noted.
        at = list(inspect(row).mapper.primary_key_from_instance(row))
        yield Told(job_id=row.job_id, kind="job.log", data={"segment": row.sequence, "at": at}, place=-2)
    elif isinstance(row, UsageRow):
        data = {
            "lease": row.lease,
            "segment": row.sequence,
            "state_hash": row.state_hash,
            "work": str(row.job_work),
            "cost_base": str(row.cumulative_base),
            "last": row.last,
        }
        yield Told(job_id=row.job_id, kind="job.segment", data=data, place=-1)


def _state(job: JobRow) -> Told:
    data = {
        "state": job.state,
        "failure": job.failure,
        "segments": {"done": job.segments_done, "total": job.segments_total},
        "work": str(job.work),
        "cost_base": str(job.cost_base),
    }
    return Told(job_id=job.id, kind=f"job.{job.state}", data=data)


def _tell(session: OrmSession) -> None:
    session.flush()
    noted: list[Told] = session.info.pop(_NOTED, [])
    if not noted:
        return
    by_job: defaultdict[str, list[Told]] = defaultdict(list)
    # A segment and its log come before the state that they led to.
    for told in sorted(noted, key=lambda told: told.place):
        by_job[told.job_id].append(told)
    now = now_milliseconds()
    rows = [
        Event(
            owner=buyer,
            job_id=job_id,
            sequence=sequence,
            kind=told.kind,
            data=_spelt(told.data),
            created_ms=now,
            block_number=told.block_number,
            block_hash=told.block_hash,
        )
        for job_id, buyer, first in _numbered(session, by_job)
        for sequence, told in enumerate(by_job[job_id], first)
    ]
    prepared.put(session.connection(), _INSERT, [row.columns() for row in rows])
    enqueue(session, rows)


def _numbered(session: OrmSession, by_job: dict[str, list[Told]]) -> Iterator[tuple[str, str, int]]:
    """(job, buyer, number of its first event)."""
    counted: dict[str, str] = session.info.pop(_COUNTED, {})
    alike: defaultdict[tuple[int, bool], list[str]] = defaultdict(list)
    for job_id in sorted(by_job):
        told = by_job[job_id]
        uncounted, settling = len(told) - (job_id in counted), any(one.kind in _SETTLING for one in told)
        if uncounted or settling:
            alike[uncounted, settling].append(job_id)
        else:
            yield job_id, counted[job_id], 1
    for (count, settling), ids in sorted(alike.items()):
        for start in range(0, len(ids), _CHUNK):
            values = {"jobs": ids[start : start + _CHUNK], "count": count, "settling": settling}
            for job_id, buyer, last in prepared.rows(session.connection(), _COUNT, values):
                yield job_id, buyer, last - len(by_job[job_id]) + 1
