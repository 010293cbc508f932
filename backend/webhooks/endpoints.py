"""/v1/webhooks: endpoints of the account, their secrets, and the log of what was sent to them."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from sqlmodel import Session

from backend import wake
from backend.door import Caller, TheMarket
from backend.market import Market
from backend.webhooks import service
from backend.webhooks.sending import spelt
from backend.webhooks.tables import WebhookAttemptRow, WebhookMessageRow, WebhookRow
from protocol.wire.webhooks import (
    MessagesAsked,
    NewWebhook,
    RotateRequest,
    Webhook,
    WebhookAttempt,
    WebhookChange,
    WebhookList,
    WebhookMessage,
    WebhookMessagePage,
    WebhookRequest,
)

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


@router.post("", response_model=NewWebhook, status_code=201, operation_id="create_webhook")
async def create_webhook(request: WebhookRequest, market: TheMarket, caller: Caller) -> NewWebhook:
    """A new endpoint. Its secret is in this answer and never again."""
    private = market.settings.webhooks_to_private
    row = await market.db.written(lambda session: service.create(session, caller.address, request, private=private))
    return _with_secret(market, row)


@router.get("", response_model=WebhookList, operation_id="list_webhooks")
async def list_webhooks(market: TheMarket, caller: Caller) -> WebhookList:
    """The account's endpoints."""
    with market.db.read() as session:
        return WebhookList(data=[_shown(row) for row in service.all_of(session, caller.address)])


@router.get("/{webhook_id}", response_model=Webhook, operation_id="get_webhook")
async def get_webhook(webhook_id: str, market: TheMarket, caller: Caller) -> Webhook:
    """One endpoint."""
    with market.db.read() as session:
        return _shown(service.own(session, caller.address, webhook_id))


@router.patch("/{webhook_id}", response_model=Webhook, operation_id="change_webhook")
async def change_webhook(webhook_id: str, request: WebhookChange, market: TheMarket, caller: Caller) -> Webhook:
    """Changes URL, types or description, disables, or enables again what was disabled."""

    def change(session: Session) -> WebhookRow:
        row = service.own(session, caller.address, webhook_id)
        service.change(session, row, request, private=market.settings.webhooks_to_private)
        return row

    return _shown(await market.db.written(change))


@router.delete("/{webhook_id}", status_code=204, operation_id="delete_webhook")
async def delete_webhook(webhook_id: str, market: TheMarket, caller: Caller) -> Response:
    """Deletes an endpoint with the log of what was sent to it."""
    await market.db.written(lambda session: service.remove(session, service.own(session, caller.address, webhook_id)))
    return Response(status_code=204)


@router.post("/{webhook_id}/rotate", response_model=NewWebhook, operation_id="rotate_webhook")
async def rotate_webhook(webhook_id: str, request: RotateRequest, market: TheMarket, caller: Caller) -> NewWebhook:
    """A new secret. Until the overlap is over each message carries a signature by the one before as well."""

    def rotate(session: Session) -> WebhookRow:
        row = service.own(session, caller.address, webhook_id)
        service.rotate(session, row, request.overlap_seconds)
        return row

    return _with_secret(market, await market.db.written(rotate))


@router.post("/{webhook_id}/ping", response_model=WebhookMessage, status_code=202, operation_id="ping_webhook")
async def ping_webhook(webhook_id: str, market: TheMarket, caller: Caller) -> WebhookMessage:
    """Sends a message of type `webhook.ping`."""
    message = await market.db.written(
        lambda session: service.ping(session, service.own(session, caller.address, webhook_id))
    )
    wake.market()
    return _message(message, [])


@router.get("/{webhook_id}/messages", response_model=WebhookMessagePage, operation_id="webhook_messages")
async def webhook_messages(
    webhook_id: str, market: TheMarket, caller: Caller, asked: Annotated[MessagesAsked, Query()]
) -> WebhookMessagePage:
    """What was sent to an endpoint or is to be, newest first, with each attempt."""
    with market.db.read() as session:
        row = service.own(session, caller.address, webhook_id)
        found, token = service.messages(session, row, asked)
        return WebhookMessagePage(data=_messages(session, found), has_more=token is not None, next_page_token=token)


@router.post(
    "/{webhook_id}/messages/{message_id}/resend",
    response_model=WebhookMessage,
    status_code=202,
    operation_id="resend_webhook_message",
)
async def resend(webhook_id: str, message_id: str, market: TheMarket, caller: Caller) -> WebhookMessage:
    """Sends a message again, with the same id and the same bytes, signed anew."""

    def resend(session: Session) -> WebhookMessage:
        message = service.own_message(session, service.own(session, caller.address, webhook_id), message_id)
        service.resend(session, message)
        return _messages(session, [message])[0]

    shown = await market.db.written(resend)
    wake.market()
    return shown


def _shown(row: WebhookRow) -> Webhook:
    return Webhook(
        id=row.id,
        owner=row.owner,
        url=row.url,
        types=json.loads(row.types),
        description=row.description,
        enabled=row.disabled_ms is None,
        disabled_why=row.disabled_why,
        failing_since=_at(row.failing_ms) if row.failing_ms else None,
        created_at=_at(row.created_ms),
    )


def _with_secret(market: Market, row: WebhookRow) -> NewWebhook:
    secret = market.hosted.webhook_secret(row.id, row.generation)
    return NewWebhook(secret=spelt(secret), **_shown(row).model_dump())


def _messages(session: Session, rows: Sequence[WebhookMessageRow]) -> list[WebhookMessage]:
    tries = service.attempts(session, [row.id for row in rows])
    return [_message(row, tries[row.id]) for row in rows]


def _message(row: WebhookMessageRow, tries: Sequence[WebhookAttemptRow]) -> WebhookMessage:
    return WebhookMessage(
        id=row.id,
        type=row.kind,
        job=row.job_id or None,
        sequence=row.sequence or None,
        state=row.state,
        attempts=[
            WebhookAttempt(at=_at(attempt.at_ms), took_ms=attempt.took_ms, status=attempt.status, fact=attempt.fact)
            for attempt in tries
        ],
        next_attempt_at=_at(row.due_ms) if row.state == "pending" else None,
        created_at=_at(row.created_ms),
    )


def _at(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
