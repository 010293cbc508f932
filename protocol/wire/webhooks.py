"""Webhooks: where an account's events go, and how they arrived."""

from datetime import datetime
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

from protocol.wire.fields import Account, Wire
from protocol.wire.jobs import JobState

_JOB: tuple[str, ...] = get_args(JobState)
_LEASE = ("proposed", "skipped", "opened", "paid", "closing", "closed", "claimed", "disputed", "ruled", "retracted")
EVENT_TYPES: tuple[str, ...] = (
    "job.*",
    "lease.*",
    *(f"job.{state}" for state in _JOB),
    "job.settled",
    *(f"lease.{word}" for word in _LEASE),
)
"""What an endpoint can ask for."""

MessageState = Literal["pending", "delivered", "failed"]


def _known(value: str) -> str:
    if value not in EVENT_TYPES:
        raise ValueError(f"expected one of {', '.join(EVENT_TYPES)}")
    return value


EventType = Annotated[str, AfterValidator(_known)]


class WebhookRequest(Wire):
    """A new endpoint."""

    url: str = Field(max_length=2000)
    types: list[EventType] = Field(default=["job.*", "lease.*"], min_length=1, max_length=64)
    description: str = Field(default="", max_length=200)


class WebhookChange(Wire):
    """What is to be otherwise; what is left out stays."""

    url: str | None = Field(default=None, max_length=2000)
    types: list[EventType] | None = Field(default=None, min_length=1, max_length=64)
    description: str | None = Field(default=None, max_length=200)
    enabled: bool | None = None


class RotateRequest(Wire):
    """A new secret."""

    #: seconds for which the secret before signs as well
    overlap_seconds: int = Field(default=86_400, ge=0, le=7 * 86_400)


class Webhook(Wire):
    """An endpoint without its secret."""

    id: str
    owner: Account
    url: str
    types: list[str]
    description: str
    enabled: bool
    #: why it is not enabled
    disabled_why: str | None
    #: since when nothing succeeded
    failing_since: datetime | None
    created_at: datetime


class NewWebhook(Webhook):
    """An endpoint with its newest secret: the only time that it is shown."""

    #: `whsec_…`, as the libraries of Standard Webhooks take it
    secret: str


class WebhookList(Wire):
    data: list[Webhook]


class WebhookAttempt(Wire):
    """One try."""

    at: datetime
    took_ms: int
    #: HTTP status; null where nobody answered
    status: int | None
    #: why it did not succeed
    fact: str | None


class WebhookMessage(Wire):
    """One event for one endpoint. Its id is the `webhook-id` of each attempt."""

    id: str
    type: str
    #: the job, and the number of its event; null for a ping
    job: str | None
    sequence: int | None
    state: MessageState
    #: all of them, oldest first
    attempts: list[WebhookAttempt]
    next_attempt_at: datetime | None
    created_at: datetime


class MessagesAsked(Wire):
    """Which messages a page shows."""

    limit: int = Field(default=20, ge=1, le=100)
    page_token: str | None = Field(default=None, max_length=64)
    state: MessageState | None = None


class WebhookMessagePage(Wire):
    """Newest first."""

    data: list[WebhookMessage]
    has_more: bool
    next_page_token: str | None
