"""Jobs with their signed orders, and idempotency keys."""

from sqlalchemy import BigInteger, Text
from sqlmodel import Field, Index, SQLModel, UniqueConstraint, text


class JobRow(SQLModel, table=True):
    """One call to POST /v1/jobs. Money and leases are in the mirror; this is the intention."""

    __tablename__ = "jobs"
    __table_args__ = (
        #: pages of an account's jobs, of all and by state
        Index("ix_jobs_buyer_id", "buyer", "id"),
        Index("ix_jobs_buyer_state_id", "buyer", "state", "id"),
        Index("ix_jobs_settle_due", "id", sqlite_where=text("settle_due"), postgresql_where=text("settle_due")),
    )
    id: str = Field(primary_key=True, max_length=40)
    #: whose hosted key signs its vouchers: an API key's id, or the buyer itself where its own wallet signed the order
    key_id: str = Field(max_length=42)
    buyer: str = Field(max_length=42)
    #: SHA-256 of the manifest, 0x hex
    job_hash: str = Field(max_length=66)
    #: canonical JSON
    manifest: str
    #: EIP-712 digest of the order, 0x hex
    order_digest: str = Field(index=True, unique=True, max_length=66)
    #: camelCase JSON
    order_message: str
    #: of any length: a contract wallet says what it takes
    order_signature: str = Field(sa_type=Text)
    #: JobState
    state: str = Field(index=True, max_length=16)
    #: why it failed, or why it still waits
    failure: str | None = None
    #: one of its lanes waits for a lease
    wants_lease: bool = Field(default=True, index=True)
    #: bitset of lanes that the ledger opens no more, for the buyer's sake
    closed_lanes: int = 0
    #: lanes that must agree about a segment
    quorum: int = 1
    #: how often a segment is run again before `last`, in 1/10,000 of such jobs
    check_rate_bps: int = 10_000
    #: segments that were accepted
    segments_done: int = 0
    segments_total: int
    #: raw work so far
    work: int = Field(default=0, sa_type=BigInteger)
    #: base units of vouchers signed, over all leases
    cost_base: int = Field(default=0, sa_type=BigInteger)
    #: ResultInfo as JSON
    result: str | None = None
    #: JSON object
    extra: str = "{}"
    #: unix milliseconds
    created_ms: int = Field(sa_type=BigInteger)
    ended_ms: int | None = Field(default=None, sa_type=BigInteger)
    #: the HTTP request that made it, as its answer and the logs name it
    request_id: str | None = Field(default=None, max_length=64)
    #: when its last lease was seen Closed, or it ended without one
    settled_ms: int | None = Field(default=None, sa_type=BigInteger)
    #: something happened after which that may be so
    settle_due: bool = False
    #: events told so far: the number of the newest
    event_count: int = 0


class JobLogRow(SQLModel, table=True):
    """What a job printed, by segment."""

    __tablename__ = "job_logs"
    job_id: str = Field(primary_key=True, max_length=40)
    sequence: int = Field(primary_key=True)
    text: str


class PassedOverRow(SQLModel, table=True):
    """A provider that the ledger would not let serve the job: what the order wants attested of it is not."""

    __tablename__ = "passed_over"
    job_id: str = Field(primary_key=True, max_length=40)
    provider: str = Field(primary_key=True, max_length=42)


class IdempotencyRow(SQLModel, table=True):
    """The answer to a request that was made once, kept with the row that it made."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (UniqueConstraint("principal", "key"),)
    id: int | None = Field(default=None, primary_key=True)
    principal: str = Field(max_length=42)
    key: str = Field(max_length=255)
    #: SHA-256 of the request, hex
    fingerprint: str = Field(max_length=64)
    job_id: str = Field(max_length=40)
    #: unix seconds
    created_time: int = Field(index=True)
