"""Delivers what is due: at least once, again over three days where nobody answers, and then no more."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog
from sqlalchemy import func
from sqlmodel import Session, col, or_, select

from backend.lock import alone
from backend.market import Market
from backend.operations import metrics
from backend.webhooks.addresses import target_of
from backend.webhooks.sending import Attempt, Message, Sender
from backend.webhooks.service import secrets_of
from backend.webhooks.tables import WebhookAttemptRow, WebhookMessageRow, WebhookRow
from protocol.clock import now_milliseconds, now_time

log = structlog.get_logger()

#: seconds from one attempt to the next; after the last one the message is given up
PAUSES: Final = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
#: an endpoint at which nothing succeeded for so long is disabled
DISABLE_AFTER_MS: Final = 5 * 86_400_000
_GONE: Final = 410
_BATCH: Final = 64
_EACH: Final = 8
"""Messages of one endpoint in a batch, so that one that hangs holds up its own."""
_MOST_BATCHES: Final = 20


def deliver_due(market: Market) -> int:
    """Sends what is due and stores how it went; returns how many attempts were made. One process does it at a time."""
    made = 0
    with alone(market.db, "market.webhooks") as mine:
        for _ in range(_MOST_BATCHES if mine else 0):
            with market.db.read() as session:
                due = _due(session, market)
            if not due:
                break
            made += len(due)
            attempts = asyncio.run(_send(market, due))
            with market.db.write() as session:
                for message, attempt in zip(due, attempts, strict=True):
                    _store(session, message.id, attempt)
            for attempt in attempts:
                metrics.WEBHOOK_ATTEMPTS.labels(outcome=_outcome(attempt)).inc()
    return made


def _due(session: Session, market: Market) -> list[Message]:
    now = now_milliseconds()
    place = func.row_number().over(
        partition_by=col(WebhookMessageRow.webhook_id), order_by=col(WebhookMessageRow.due_ms)
    )
    ranked = (
        select(WebhookMessageRow.id, place.label("place"))
        .join(WebhookRow, col(WebhookRow.id) == col(WebhookMessageRow.webhook_id))
        .where(
            WebhookMessageRow.state == "pending",
            # What comes from a clock that has been set back since does not wait until that time comes again.
            or_(col(WebhookMessageRow.due_ms) <= now, col(WebhookMessageRow.created_ms) > now),
            col(WebhookRow.disabled_ms).is_(None),
        )
        .subquery()
    )
    statement = (
        select(WebhookMessageRow, WebhookRow)
        .join(WebhookRow, col(WebhookRow.id) == col(WebhookMessageRow.webhook_id))
        .join(ranked, ranked.c.id == col(WebhookMessageRow.id))
        .where(ranked.c.place <= _EACH)
        .order_by(col(WebhookMessageRow.due_ms))
        .limit(_BATCH)
    )
    return [
        Message(
            id=message.id,
            url=target_of(endpoint.url, private=True),
            body=message.body,
            secrets=secrets_of(market.hosted, endpoint, now),
        )
        for message, endpoint in session.exec(statement)
    ]


async def _send(market: Market, due: list[Message]) -> list[Attempt]:
    # Names are looked up by threads; those of a server that does not answer are not waited for.
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(16, "webhook-names"))
    sender = Sender(private=market.settings.webhooks_to_private)
    now = now_time()
    return await asyncio.gather(*(sender.send(message, now) for message in due))


def _outcome(attempt: Attempt) -> str:
    if attempt.fact is None:
        return "delivered"
    return "unanswered" if attempt.status is None else "refused"


def _store(session: Session, message_id: str, attempt: Attempt) -> None:
    message = session.get(WebhookMessageRow, message_id)
    endpoint = session.get(WebhookRow, message.webhook_id) if message else None
    if message is None or endpoint is None:
        # It was deleted meanwhile.
        return
    now = now_milliseconds()
    session.add(
        WebhookAttemptRow(
            message_id=message_id, at_ms=now, took_ms=attempt.took_ms, status=attempt.status, fact=attempt.fact
        )
    )
    message.attempts += 1
    if attempt.fact is None:
        message.state, message.done_ms = "delivered", now
        endpoint.failing_ms = None
    else:
        _failed(message, endpoint, attempt, now)
    session.add(message)
    session.add(endpoint)


def _failed(message: WebhookMessageRow, endpoint: WebhookRow, attempt: Attempt, now: int) -> None:
    if message.attempts > len(PAUSES):
        message.state, message.done_ms = "failed", now
    else:
        message.due_ms = now + 1000 * PAUSES[message.attempts - 1]
    if endpoint.failing_ms is None:
        endpoint.failing_ms = now
    if attempt.status == _GONE:
        _disable(endpoint, now, "the endpoint answered 410 Gone")
    elif now - endpoint.failing_ms >= DISABLE_AFTER_MS:
        _disable(endpoint, now, f"nothing succeeded for {DISABLE_AFTER_MS // 86_400_000} days; last: {attempt.fact}")


def _disable(endpoint: WebhookRow, now: int, reason: str) -> None:
    endpoint.disabled_ms, endpoint.disabled_why = now, reason
    log.warning("webhook.disabled", webhook=endpoint.id, reason=reason)
