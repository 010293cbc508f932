"""Where events go, what is to be sent, and how each attempt went. No secret is stored: it derives from the seed."""

from sqlalchemy import BigInteger
from sqlmodel import Field, Index, SQLModel, text


class WebhookRow(SQLModel, table=True):
    """An endpoint of an account."""

    __tablename__ = "webhooks"
    id: str = Field(primary_key=True, max_length=40)
    owner: str = Field(index=True, max_length=42)
    url: str
    #: JSON array of event types, such as `job.*`
    types: str
    description: str = ""
    #: which of its secrets is the newest
    generation: int = 1
    #: unix milliseconds until which the secret before signs as well
    overlap_ms: int = Field(default=0, sa_type=BigInteger)
    created_ms: int = Field(sa_type=BigInteger)
    #: since when no attempt succeeded; None = the last one did
    failing_ms: int | None = Field(default=None, sa_type=BigInteger)
    disabled_ms: int | None = Field(default=None, sa_type=BigInteger)
    disabled_why: str | None = None


class WebhookMessageRow(SQLModel, table=True):
    """One event for one endpoint. The id is the same in every attempt, so a receiver can know it again."""

    __tablename__ = "webhook_messages"
    __table_args__ = (
        Index("ix_webhook_messages_of", "webhook_id", "id"),
        Index(
            "ix_webhook_messages_due",
            "due_ms",
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
    )
    id: str = Field(primary_key=True, max_length=40)
    webhook_id: str = Field(max_length=40)
    job_id: str = Field(max_length=40)
    #: of the job's event
    sequence: int
    kind: str = Field(max_length=32)
    #: what is sent, to the byte
    body: str
    #: pending → delivered | failed (given up)
    state: str = Field(max_length=16)
    attempts: int = 0
    #: unix milliseconds
    due_ms: int = Field(sa_type=BigInteger)
    created_ms: int = Field(sa_type=BigInteger)
    done_ms: int | None = Field(default=None, sa_type=BigInteger)


class WebhookAttemptRow(SQLModel, table=True):
    """One try to deliver a message."""

    __tablename__ = "webhook_attempts"
    id: int | None = Field(default=None, primary_key=True)
    message_id: str = Field(index=True, max_length=40)
    #: unix milliseconds
    at_ms: int = Field(sa_type=BigInteger)
    took_ms: int
    #: HTTP status; None where nobody answered
    status: int | None = None
    #: why it did not succeed
    fact: str | None = None
