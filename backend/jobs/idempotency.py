"""Idempotency keys (threat A4): a request that was answered is answered the same again, and never acted on twice."""

import hashlib
from typing import Final

from sqlalchemy import bindparam, text
from sqlmodel import Session, col, select

from backend.errors import BadRequest, IdempotencyConflict, InFlight
from backend.events import writing
from backend.jobs.tables import IdempotencyRow, JobRow
from protocol.clock import now_time

MAX_KEY_CHARACTERS: Final = 255

_FIND: Final = select(IdempotencyRow.fingerprint, IdempotencyRow.job_id).where(
    col(IdempotencyRow.principal) == bindparam("principal"), col(IdempotencyRow.key) == bindparam("key")
)
"""Built once: every job runs it."""


def replayed(session: Session, principal: str, key: str, body: bytes) -> JobRow | None:
    """The job that this key already made; raises `BadRequest`, `InFlight`, `IdempotencyConflict`.

    After this the key is this transaction's until it ends, if there was no job yet.
    """
    if not 1 <= len(key) <= MAX_KEY_CHARACTERS or not key.isprintable():
        raise BadRequest("Idempotency-Key must have 1 to 255 printable characters", remedy="send a random one")
    hold(session, principal, key)
    row = session.connection().execute(_FIND, {"principal": principal, "key": key}).first()
    if row is None:
        return None
    if row.fingerprint != hashlib.sha256(body).hexdigest():
        raise IdempotencyConflict("this Idempotency-Key was used with another body")
    return session.get(JobRow, row.job_id)


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
    fingerprint = hashlib.sha256(body).hexdigest()
    row = IdempotencyRow(principal=principal, key=key, fingerprint=fingerprint, job_id=job.id, created_time=now_time())
    writing.put_numbered(session, row)
