"""Idempotency keys (threat A4): a request that was answered is answered the same again, and never acted on twice."""

import hashlib
from typing import Final

from sqlalchemy import Integer, String, bindparam, exists, insert, select, text
from sqlmodel import Session, col

from backend.errors import BadRequest, IdempotencyConflict, InFlight
from backend.events import writing
from backend.jobs.tables import IdempotencyRow, JobRow
from indexer import prepared
from protocol.clock import now_time

MAX_KEY_CHARACTERS: Final = 255

_IS_KEY: Final = (
    col(IdempotencyRow.principal) == bindparam("principal", type_=String()),
    col(IdempotencyRow.key) == bindparam("key", type_=String()),
)
# Built once: every job runs them.
_FIND: Final = select(col(IdempotencyRow.fingerprint), col(IdempotencyRow.job_id)).where(*_IS_KEY)
_CLAIM: Final = insert(IdempotencyRow).from_select(
    ["principal", "key", "fingerprint", "job_id", "created_time"],
    select(
        bindparam("principal", type_=String()),
        bindparam("key", type_=String()),
        bindparam("fingerprint", type_=String()),
        bindparam("job", type_=String()),
        bindparam("now", type_=Integer()),
    ).where(~exists().where(*_IS_KEY)),
)


def replayed(session: Session, principal: str, key: str, body: bytes) -> JobRow | None:
    """The job that this key already made; raises `BadRequest`, `InFlight`, `IdempotencyConflict`.

    After this the key is this transaction's until it ends, if there was no job yet.
    """
    if not 1 <= len(key) <= MAX_KEY_CHARACTERS or not key.isprintable():
        raise BadRequest("Idempotency-Key must have 1 to 255 printable characters", remedy="send a random one")
    hold(session, principal, key)
    for fingerprint, job_id in prepared.rows(session.connection(), _FIND, {"principal": principal, "key": key}):
        if fingerprint != _fingerprint(body):
            raise IdempotencyConflict("this Idempotency-Key was used with another body")
        return session.get(JobRow, job_id)
    return None


def claim(session: Session, principal: str, key: str, body: bytes, job_id: str) -> JobRow | None:
    """None if the key makes this job, which the transaction adds; else the job that it already made.

    Raises `BadRequest`, `InFlight`, `IdempotencyConflict`. A rollback gives the key back.
    """
    hold(session, principal, key)
    values = {"principal": principal, "key": key, "fingerprint": _fingerprint(body), "job": job_id, "now": now_time()}
    if prepared.changed(session.connection(), _CLAIM, values) == 1:
        return None
    return replayed(session, principal, key, body)


def hold(session: Session, principal: str, key: str) -> None:
    """Nobody else is at the key until the transaction ends; raises `InFlight` if somebody is.

    On SQLite the transaction holds all, on PostgreSQL a lock of the key's own.
    """
    if session.connection().dialect.name != "postgresql":
        return
    number = int.from_bytes(hashlib.sha256(f"{principal}/{key}".encode()).digest()[:8], "big", signed=True)
    held = session.connection().execute(text("SELECT pg_try_advisory_xact_lock(:number)"), {"number": number}).scalar()
    if not held:
        raise InFlight("the same request is being worked on")


def remember(session: Session, principal: str, key: str, body: bytes, job: JobRow) -> None:
    """In the transaction that makes the job."""
    made = {"fingerprint": _fingerprint(body), "job_id": job.id, "created_time": now_time()}
    writing.insert_row(session, IdempotencyRow, principal=principal, key=key, **made)


def _fingerprint(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
