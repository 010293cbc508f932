"""Endpoints of an account and the log of what was sent to them."""

import json
from typing import Final

from sqlalchemy import delete
from sqlmodel import Session, col, select

from backend.accounts.hosted_keys import HostedKeys
from backend.errors import BadRequest, NotFound
from backend.paging import page_of, row_after
from backend.webhooks.addresses import target_of
from backend.webhooks.outbox import body_of
from backend.webhooks.tables import WebhookAttemptRow, WebhookMessageRow, WebhookRow
from protocol.clock import now_milliseconds
from protocol.ids import new_id
from protocol.wire.webhooks import MessagesAsked, WebhookChange, WebhookRequest

MOST_ENDPOINTS: Final = 16
_PING: Final = "webhook.ping"


def secrets_of(hosted: HostedKeys, row: WebhookRow, now_ms: int) -> tuple[bytes, ...]:
    """The newest secret, and the one before it while both are good."""
    newest = hosted.webhook_secret(row.id, row.generation)
    if now_ms >= row.overlap_ms:
        return (newest,)
    return newest, hosted.webhook_secret(row.id, row.generation - 1)


def create(session: Session, owner: str, request: WebhookRequest, *, private: bool) -> WebhookRow:
    """Raises `BadRequest`."""
    target_of(request.url, private=private)
    if len(all_of(session, owner)) >= MOST_ENDPOINTS:
        raise BadRequest(f"the account has {MOST_ENDPOINTS} webhooks", remedy="delete one first")
    row = WebhookRow(
        id=new_id("whk"),
        owner=owner,
        url=request.url,
        types=json.dumps(sorted(set(request.types))),
        description=request.description,
        created_ms=now_milliseconds(),
    )
    session.add(row)
    return row


def all_of(session: Session, owner: str) -> list[WebhookRow]:
    return list(session.exec(select(WebhookRow).where(WebhookRow.owner == owner).order_by(col(WebhookRow.id))))


def own(session: Session, owner: str, webhook_id: str) -> WebhookRow:
    """Raises `NotFound` for somebody else's too."""
    row = session.get(WebhookRow, webhook_id)
    if row is None or row.owner != owner:
        raise NotFound(f"no webhook {webhook_id[:40]}")
    return row


def change(session: Session, row: WebhookRow, request: WebhookChange, *, private: bool) -> None:
    """Raises `BadRequest`. Enabled again, it gets what waited for it."""
    if request.url is not None:
        target_of(request.url, private=private)
        row.url = request.url
    if request.types is not None:
        row.types = json.dumps(sorted(set(request.types)))
    if request.description is not None:
        row.description = request.description
    if request.enabled is True:
        row.disabled_ms, row.disabled_why, row.failing_ms = None, None, None
    elif request.enabled is False and row.disabled_ms is None:
        row.disabled_ms, row.disabled_why = now_milliseconds(), "disabled by its owner"
    session.add(row)


def rotate(session: Session, row: WebhookRow, overlap_seconds: int) -> None:
    """A new secret; the one before signs as well for a while, so that receivers can change over without a gap."""
    row.generation += 1
    row.overlap_ms = now_milliseconds() + 1000 * overlap_seconds
    session.add(row)


def remove(session: Session, row: WebhookRow) -> None:
    """With its messages and their log."""
    mine = select(WebhookMessageRow.id).where(WebhookMessageRow.webhook_id == row.id)
    session.exec(delete(WebhookAttemptRow).where(col(WebhookAttemptRow.message_id).in_(mine)))
    session.exec(delete(WebhookMessageRow).where(col(WebhookMessageRow.webhook_id) == row.id))
    session.delete(row)


def ping(session: Session, row: WebhookRow) -> WebhookMessageRow:
    """A message that says nothing, to try an endpoint with."""
    now = now_milliseconds()
    message = WebhookMessageRow(
        id=new_id("msg"),
        webhook_id=row.id,
        job_id="",
        sequence=0,
        kind=_PING,
        body=body_of(_PING, now, {}),
        state="pending",
        due_ms=now,
        created_ms=now,
    )
    session.add(message)
    return message


def messages(session: Session, row: WebhookRow, asked: MessagesAsked) -> tuple[list[WebhookMessageRow], str | None]:
    """A page, newest first, and the token of the next one."""
    statement = select(WebhookMessageRow).where(WebhookMessageRow.webhook_id == row.id)
    if asked.state is not None:
        statement = statement.where(WebhookMessageRow.state == asked.state)
    if asked.page_token is not None:
        statement = statement.where(col(WebhookMessageRow.id) < row_after(asked.page_token, "msg"))
    found = session.exec(statement.order_by(col(WebhookMessageRow.id).desc()).limit(asked.limit + 1)).all()
    return page_of(found, asked.limit, lambda message: message.id)


def own_message(session: Session, row: WebhookRow, message_id: str) -> WebhookMessageRow:
    """Raises `NotFound`."""
    message = session.get(WebhookMessageRow, message_id)
    if message is None or message.webhook_id != row.id:
        raise NotFound(f"no message {message_id[:40]}")
    return message


def resend(session: Session, message: WebhookMessageRow) -> None:
    """The same message with the same id, at once; its pauses begin anew."""
    message.state, message.attempts, message.due_ms, message.done_ms = "pending", 0, now_milliseconds(), None
    session.add(message)


def attempts(session: Session, message_ids: list[str]) -> dict[str, list[WebhookAttemptRow]]:
    """Of each message, oldest first."""
    found: dict[str, list[WebhookAttemptRow]] = {message_id: [] for message_id in message_ids}
    statement = select(WebhookAttemptRow).where(col(WebhookAttemptRow.message_id).in_(message_ids))
    for row in session.exec(statement.order_by(col(WebhookAttemptRow.id))):
        found[row.message_id].append(row)
    return found
