"""Events → messages to be sent: rows of the transaction in which the event happened."""

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam
from sqlalchemy.orm import Session
from sqlmodel import col, select

from backend.webhooks.tables import WebhookMessageRow, WebhookRow
from indexer import prepared
from protocol.ids import new_id

#: many and small: who wants them follows the job's stream
_STREAM_ONLY: Final = frozenset({"job.segment", "job.log"})


_OF_OWNERS: Final = select(WebhookRow.id, WebhookRow.owner, WebhookRow.types).where(
    col(WebhookRow.owner).in_(bindparam("owners", expanding=True)), col(WebhookRow.disabled_ms).is_(None)
)
"""Built once: every transaction that changes a job runs it."""


class Event(NamedTuple):
    """An event as it is stored, and the account that it is of."""

    owner: str
    job_id: str
    sequence: int
    kind: str
    #: JSON object
    data: str
    created_ms: int
    block_number: int | None
    block_hash: str | None

    def columns(self) -> dict[str, Any]:
        """Of its row."""
        columns = self._asdict()
        del columns["owner"]
        return columns


def enqueue(session: Session, told: Iterable[Event]) -> None:
    """Adds a message for each endpoint that wants an event."""
    mine = [one for one in told if one.kind not in _STREAM_ONLY]
    if not mine:
        return
    endpoints: defaultdict[str, list[tuple[str, list[str]]]] = defaultdict(list)
    owners = list({one.owner for one in mine})
    for webhook_id, owner, types in prepared.rows(session.connection(), _OF_OWNERS, {"owners": owners}):
        endpoints[owner].append((webhook_id, json.loads(types)))
    for one in mine:
        for webhook_id, wanted in endpoints[one.owner]:
            if wants(wanted, one.kind):
                session.add(_message(webhook_id, one))


def wants(types: list[str], kind: str) -> bool:
    """Whether a list of types such as `job.*` names the kind."""
    return kind in types or f"{kind.partition('.')[0]}.*" in types


def body_of(kind: str, created_ms: int, data: dict[str, Any]) -> str:
    """What is sent, as Standard Webhooks has it."""
    timestamp = datetime.fromtimestamp(created_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return json.dumps({"type": kind, "timestamp": timestamp, "data": data}, separators=(",", ":"))


def _message(webhook_id: str, row: Event) -> WebhookMessageRow:
    data = {"job": row.job_id, "sequence": row.sequence, **json.loads(row.data)}
    return WebhookMessageRow(
        id=new_id("msg"),
        webhook_id=webhook_id,
        job_id=row.job_id,
        sequence=row.sequence,
        kind=row.kind,
        body=body_of(row.kind, row.created_ms, data),
        state="pending",
        due_ms=row.created_ms,
        created_ms=row.created_ms,
    )
