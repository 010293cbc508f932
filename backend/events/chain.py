"""What the chain did with the leases of jobs, told once; and a correction where a reorg took it back.

The mirror numbers its canonical events without a gap, so reading on from the last number misses none. Whoever read up
to number s in an earlier epoch of the mirror has kept what the rollbacks since left alone.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, bindparam, update
from sqlalchemy import select as columns_of
from sqlmodel import Session, col, select

from backend.events.recording import Told, say
from backend.events.tables import ChainReadRow, JobEventRow
from backend.jobs.settlement import is_over, settlement
from backend.jobs.tables import JobRow
from backend.leases.tables import LeaseIntention
from backend.market import Market
from indexer import prepared
from indexer.queries import EventRow, LeaseRow, MirrorStatus, Reads
from protocol.clock import now_milliseconds
from protocol.events import (
    LeaseClaimed,
    LeaseClosed,
    LeaseClosing,
    LeaseDisputed,
    LeaseOpened,
    LeaseRuled,
    VoucherRedeemed,
)
from protocol.hashing import from_hex, to_hex
from protocol.wire.jobs import ENDED

_BATCH: Final = 500
_MOST_BATCHES: Final = 20
"""A mirror with a long history is caught up with over several steps."""
_TOLD: Final = (
    LeaseOpened,
    VoucherRedeemed,
    LeaseClosing,
    LeaseClosed,
    LeaseClaimed,
    LeaseDisputed,
    LeaseRuled,
)
_KINDS: Final[dict[type[object], str]] = {
    LeaseOpened: "lease.opened",
    VoucherRedeemed: "lease.paid",
    LeaseClosing: "lease.closing",
    LeaseClosed: "lease.closed",
    LeaseClaimed: "lease.claimed",
    LeaseDisputed: "lease.disputed",
    LeaseRuled: "lease.ruled",
}
# Built once: each step runs them.
_READ: Final = columns_of(col(ChainReadRow.reorg_epoch), col(ChainReadRow.seq)).where(col(ChainReadRow.id) == 1)
_READ_ON: Final = update(ChainReadRow).where(col(ChainReadRow.id) == 1).values(seq=bindparam("read_seq"))
_JOBS: Final = columns_of(col(LeaseIntention.lease), col(LeaseIntention.job_id)).where(
    col(LeaseIntention.lease).in_(bindparam("leases", expanding=True))
)
_OF_JOBS: Final = col(JobRow.id).in_(bindparam("jobs", expanding=True))
_MAKE_DUE: Final = update(JobRow).where(_OF_JOBS).values(settle_due=True)
_DUE: Final = columns_of(col(JobRow.id)).where(col(JobRow.settle_due)).limit(_BATCH)
_LEASES: Final = columns_of(col(LeaseIntention.job_id), col(LeaseIntention.lease)).where(
    col(LeaseIntention.job_id).in_(bindparam("jobs", expanding=True))
)
_LOOKED_AT: Final = update(JobRow).where(_OF_JOBS).values(settle_due=False)
_UNSETTLED: Final = columns_of(col(JobRow.id)).where(
    _OF_JOBS, col(JobRow.state).in_(ENDED), col(JobRow.settled_ms).is_(None)
)
_SETTLE: Final = update(JobRow).where(_OF_JOBS).values(settled_ms=bindparam("at_ms", type_=BigInteger()))

_MONEY: Final = ("rate", "locked", "amount", "paid", "refunded", "penalty", "work", "target", "award")


def tell(market: Market) -> None:
    """Tells what is new in the mirror, and which jobs are settled by it."""
    for _ in range(_MOST_BATCHES):
        if _tell_some(market) < _BATCH:
            break
    settle(market)


def _tell_some(market: Market) -> int:
    """Returns how many events were read; none while the mirror cannot tell what a reorg took back."""
    with market.db.read() as session:
        ((reorg_epoch, seq),) = prepared.rows(session.connection(), _READ, {})
    with market.mirror.snapshot() as now:
        status = now.status()
        if reorg_epoch != status.reorg_epoch:
            with market.db.write() as session:
                if not _retract(session, now, status, session.get_one(ChainReadRow, 1)):
                    return 0
            return _BATCH
        rows = now.events_since(seq, limit=_BATCH)
    if rows:
        facts = [(row, event) for row in rows if isinstance(event := row.event, _TOLD)]
        with market.db.write() as session:
            _tell(session, facts)
            prepared.changed(session.connection(), _READ_ON, {"read_seq": rows[-1].seq})
    return len(rows)


def _retract(session: Session, now: Reads, status: MirrorStatus, read: ChainReadRow) -> bool:
    """Takes back what was told of blocks that are not canonical any more; False if the mirror cannot tell yet."""
    ancestor = now.ancestor_since(read.reorg_epoch) if read.reorg_epoch < status.reorg_epoch else None
    if ancestor is None:
        ancestor = _standing(session, now, status)
    if ancestor is None:
        return False
    statement = select(JobEventRow).where(
        col(JobEventRow.block_number) > ancestor, col(JobEventRow.retracted).is_(False)
    )
    for row in session.exec(statement.order_by(col(JobEventRow.id))).all():
        row.retracted = True
        session.add(row)
        job = session.get_one(JobRow, row.job_id)
        job.settled_ms = None
        session.add(job)
        data = {"retracts": row.sequence, "was": row.kind, "fork_block": ancestor + 1}
        say(session, Told(job_id=row.job_id, kind="lease.retracted", data=data))
    read.reorg_epoch = status.reorg_epoch
    read.seq = min(read.seq, now.event_count_at(ancestor))
    session.add(read)
    return True


def _standing(session: Session, now: Reads, status: MirrorStatus) -> int | None:
    """The newest block that something was told of and that a mirror built anew has too; None until it is as far."""
    statement = (
        select(JobEventRow.block_number, JobEventRow.block_hash)
        .where(col(JobEventRow.block_number).is_not(None), col(JobEventRow.retracted).is_(False))
        .distinct()
        .order_by(col(JobEventRow.block_number).desc())
    )
    for number, block_hash in session.exec(statement):
        if number is None or block_hash is None or number > status.block_number:
            return None
        if now.is_canonical(from_hex(block_hash, 32)):
            return number
    return status.deploy_block - 1


def _tell(session: Session, facts: Sequence[tuple[EventRow, Any]]) -> None:
    jobs = _jobs(session, {to_hex(event.lease) for _, event in facts})
    for row, event in facts:
        lease = to_hex(event.lease)
        if lease in jobs:
            told = Told(
                job_id=jobs[lease],
                kind=_KINDS[type(event)],
                data={"lease": lease, **_fact(event), "tx_hash": to_hex(row.tx_hash), "block_number": row.block_number},
                block_number=row.block_number,
                block_hash=to_hex(row.block_hash),
            )
            say(session, told)
    over = {
        jobs[to_hex(event.lease)]
        for _, event in facts
        if isinstance(event, LeaseClosed) and to_hex(event.lease) in jobs
    }
    if over:
        prepared.changed(session.connection(), _MAKE_DUE, {"jobs": sorted(over)})


def _jobs(session: Session, leases: set[str]) -> dict[str, str]:
    if not leases:
        return {}
    return dict(prepared.rows(session.connection(), _JOBS, {"leases": sorted(leases)}))


def _fact(event: Any) -> dict[str, Any]:
    """What the event says of money and end; base units as decimal strings."""
    fact: dict[str, Any] = {}
    for name in event.TYPES:
        value = getattr(event, name)
        if name in _MONEY:
            fact[name if name in ("rate", "work") else f"{name}_base"] = str(value)
        elif name == "reason":
            fact["reason"] = value.name.lower()
        elif name in ("provider", "done", "last", "fill"):
            fact[name] = value
    return fact


def settle(market: Market) -> None:
    """Ends the settlement of jobs that have ended and whose leases the mirror shows as Closed."""
    with market.db.read() as session:
        connection = session.connection()
        due = [job_id for (job_id,) in prepared.rows(connection, _DUE, {})]
        leases: defaultdict[str, list[bytes]] = defaultdict(list)
        for job_id, lease in prepared.rows(connection, _LEASES, {"jobs": due}) if due else ():
            leases[job_id].append(from_hex(lease, 32))
    if not due:
        return
    found = market.mirror.leases_by_id([lease for ids in leases.values() for lease in ids])
    over = {job_id for job_id in due if is_over([found.get(lease) for lease in leases[job_id]])}
    with market.db.write() as session:
        connection = session.connection()
        # The next thing that could settle them says so again.
        prepared.changed(connection, _LOOKED_AT, {"jobs": due})
        found_over = prepared.rows(connection, _UNSETTLED, {"jobs": sorted(over)}) if over else ()
        settled = [job_id for (job_id,) in found_over]
        if settled:
            prepared.changed(connection, _SETTLE, {"jobs": settled, "at_ms": now_milliseconds()})
        for job_id in settled:
            rows = [row for lease in leases[job_id] if (row := found.get(lease)) is not None]
            say(session, Told(job_id=job_id, kind="job.settled", data=_sums(rows), place=1))


def _sums(rows: Sequence[LeaseRow]) -> dict[str, Any]:
    return {
        "settlement": settlement(rows),
        "paid_base": str(sum(row.paid_base for row in rows)),
        "refunded_base": str(sum(row.refunded_base for row in rows)),
        "fee_base": str(sum(row.fee_base for row in rows)),
    }
