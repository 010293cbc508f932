"""Events → messages to be sent: rows of the transaction in which the event happened."""

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy.orm import Session
from sqlmodel import col, select

from backend.events.tables import JobEventRow
from backend.webhooks.tables import WebhookMessageRow, WebhookRow
from protocol.ids import new_id

#: many and small: who wants them follows the job's stream
_STREAM_ONLY: Final = frozenset({"job.segment", "job.log"})


def enqueue(session: Session, told: Iterable[tuple[str, JobEventRow]]) -> None:
    """Adds a message for each endpoint that wants an event; each event comes with the account that it is of."""
    mine = [(owner, row) for owner, row in told if row.kind not in _STREAM_ONLY]
    if not mine:
        return
    owners = {owner for owner, _ in mine}
    statement = select(WebhookRow).where(col(WebhookRow.owner).in_(owners), col(WebhookRow.disabled_ms).is_(None))
    endpoints: defaultdict[str, list[WebhookRow]] = defaultdict(list)
    for endpoint in session.execute(statement).scalars():
        endpoints[endpoint.owner].append(endpoint)
    for owner, row in mine:
        for endpoint in endpoints[owner]:
            if wants(json.loads(endpoint.types), row.kind):
                session.add(_message(endpoint, row))


def wants(types: list[str], kind: str) -> bool:
    """Whether a list of types such as `job.*` names the kind."""
    return kind in types or f"{kind.partition('.')[0]}.*" in types


def body_of(kind: str, created_ms: int, data: dict[str, Any]) -> str:
    """What is sent, as Standard Webhooks has it."""
    timestamp = datetime.fromtimestamp(created_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return json.dumps({"type": kind, "timestamp": timestamp, "data": data}, separators=(",", ":"))


def _message(endpoint: WebhookRow, row: JobEventRow) -> WebhookMessageRow:
    data = {"job": row.job_id, "sequence": row.sequence, **json.loads(row.data)}
    return WebhookMessageRow(
        id=new_id("msg"),
        webhook_id=endpoint.id,
        job_id=row.job_id,
        sequence=row.sequence,
        kind=row.kind,
        body=body_of(row.kind, row.created_ms, data),
        state="pending",
        due_ms=row.created_ms,
        created_ms=row.created_ms,
    )
