"""Who may read a file. Everybody else is told that there is none, so that a CID is no way to ask who has what.

An account reads what it stored. The buyer of a job reads all of the job's files. A provider reads module and inputs
while it holds a lease of the job, and the checkpoints of the lane that its lease is in (DESIGN section 6).
"""

import json
from collections.abc import Iterable
from typing import Final

from sqlalchemy import bindparam
from sqlmodel import Session, col, select

from backend.errors import BadRequest
from backend.events import writing
from backend.files.tables import FileRow, FileUse
from backend.jobs.tables import JobRow
from backend.leases.tables import LeaseIntention
from indexer import prepared
from protocol.hashing import Address
from protocol.manifest import Manifest

EVERY_LANE: Final = -1
"""Module and inputs."""
NO_LANE: Final = -2
"""Outputs: the buyer's alone."""
_LIVE: Final = ("proposed", "running")
_STORED: Final = select(FileRow.cid).where(
    col(FileRow.owner) == bindparam("owner"), col(FileRow.cid).in_(bindparam("cids", expanding=True))
)
"""Built once: every job asks it."""


def may_read(session: Session, who: Address, cid: str) -> bool:
    """Whether the account stored the file or is party to a job that it belongs to."""
    if session.get(FileRow, (cid, who)) is not None:
        return True
    uses = session.exec(select(FileUse).where(FileUse.cid == cid)).all()
    if not uses:
        return False
    jobs = {use.job_id for use in uses}
    bought = select(JobRow.id).where(col(JobRow.id).in_(jobs), JobRow.buyer == who).limit(1)
    if session.exec(bought).first() is not None:
        return True
    served = select(LeaseIntention).where(
        LeaseIntention.provider == who, col(LeaseIntention.job_id).in_(jobs), col(LeaseIntention.state).in_(_LIVE)
    )
    return any(_serves(session, lease, uses) for lease in session.exec(served))


def _serves(session: Session, lease: LeaseIntention, uses: Iterable[FileUse]) -> bool:
    lanes = {use.lane for use in uses if use.job_id == lease.job_id}
    if EVERY_LANE in lanes:
        return True
    job = session.get_one(JobRow, lease.job_id)
    return lane_of(job, lease.fill) in lanes


def lane_of(job: JobRow, fill: int) -> int:
    """The lane of a fill (SPEC "Replicas and failover")."""
    return fill % int(json.loads(job.order_message).get("replicas", 1))


def require_readable(session: Session, who: Address, manifest: Manifest) -> None:
    """A job may name only files that its buyer may read: else naming one would be a way to it. Raises `BadRequest`."""
    named = files_of(manifest)
    stored = {cid for (cid,) in prepared.rows(session.connection(), _STORED, {"owner": who, "cids": named})}
    missing = [cid for cid in named if cid not in stored and not may_read(session, who, cid)]
    if missing:
        raise BadRequest(f"file {missing[0]} is not here", remedy="upload it with PUT /v1/files/{cid}", missing=missing)


def files_of(manifest: Manifest) -> list[str]:
    """Module and inputs, each once."""
    return list(dict.fromkeys((manifest.module, *manifest.inputs.values())))


def belongs_new(session: Session, job_id: str, cids: Iterable[str]) -> None:
    """These files are a new job's, for all its lanes."""
    for cid in dict.fromkeys(cids):
        writing.insert_row(session, FileUse, cid=cid, job_id=job_id, lane=EVERY_LANE)


def belongs(session: Session, job_id: str, cids: Iterable[str], lane: int) -> None:
    """These files are the job's from now on; said again it changes nothing."""
    for cid in dict.fromkeys(cids):
        if session.get(FileUse, (cid, job_id, lane)) is None:
            session.add(FileUse(cid=cid, job_id=job_id, lane=lane))
