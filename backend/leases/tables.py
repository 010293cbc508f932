"""What the market did for each lease. Its facts (state, money) are in the mirror."""

from typing import Final

from sqlalchemy import BigInteger, TextClause
from sqlmodel import Field, Index, SQLModel, text

_OPEN: Final = (
    "{0}state <> 'ended' OR ({0}last_signed_time IS NOT NULL AND {0}countersignature IS NULL AND NOT {0}settled)"
)
"""Something is asked of the lease's provider: to serve it, or to countersign its last voucher."""


class LeaseIntention(SQLModel, table=True):
    """A fill that the market proposed to open."""

    __tablename__ = "lease_intentions"
    __table_args__ = (
        #: so that what a provider has to do is found without all that it ever did
        Index(
            "ix_lease_intentions_open",
            "provider",
            sqlite_where=text(_OPEN.format("")),
            postgresql_where=text(_OPEN.format("")),
        ),
    )
    #: 0x hex
    lease: str = Field(primary_key=True, max_length=66)
    job_id: str = Field(index=True, max_length=40)
    fill: int
    #: number of the auction that gave it
    auction: int | None = Field(default=None, index=True)
    provider: str = Field(index=True, max_length=42)
    offer_digest: str = Field(max_length=66)
    #: pico-dollars per metered unit, as offered
    rate: int = Field(sa_type=BigInteger)
    #: grid zone number, as offered
    zone: int = 0
    #: proposed · running · ended (nothing more will be signed)
    state: str = Field(index=True, max_length=16)
    #: raw work of the job before this lease
    base_work: int = Field(default=0, sa_type=BigInteger)
    #: segments of the job before this lease
    base_sequence: int = 0
    #: unix seconds
    proposed_time: int
    #: unix seconds at which it was proposed, was there to be served, or its provider sent something last
    progress_time: int = 0
    #: unix seconds at which the market gave it up, or the job ended
    ended_time: int | None = None
    #: it sent something that is not so
    caught: bool = False
    #: close has been asked for: the EndReason, else 0
    closing_reason: int = 0
    #: unix seconds at which `last` was signed
    last_signed_time: int | None = None
    #: provider's signature of the last voucher, 0x hex
    countersignature: str | None = None
    #: a final block closed it: nothing is asked of it any more
    settled: bool = Field(default=False, index=True)


def is_open_business() -> TextClause:
    """As the index has it, word for word: a database takes it for nothing else."""
    return text(f"({_OPEN.format('lease_intentions.')})")


class CommitmentRow(SQLModel, table=True):
    """A replica's commitment to a usage receipt that it has not shown yet (SPEC "Replicas")."""

    __tablename__ = "usage_commitments"
    lease: str = Field(primary_key=True, max_length=66)
    #: segment of the job, from 1
    sequence: int = Field(primary_key=True)
    #: 0x hex
    commitment: str = Field(max_length=66)
    #: the provider was told to show it
    is_open: bool = False
    #: unix seconds
    committed_time: int


class UsageRow(SQLModel, table=True):
    """A usage receipt, with the voucher that answered it once the segment was accepted."""

    __tablename__ = "usage_receipts"
    lease: str = Field(primary_key=True, max_length=66)
    #: a reorg can give the same lease to another one, which no voucher of this one pays
    provider: str = Field(primary_key=True, max_length=42)
    #: segment of the job, from 1
    sequence: int = Field(primary_key=True)
    job_id: str = Field(index=True, max_length=40)
    #: replica
    lane: int = 0
    #: waiting → paid → struck (paid, and found wrong later) | odd (not what the others sent) | void (its lease ended) |
    #: lapsed (paid, and a reorg took the lease: it counts again if the provider has the lease again)
    verdict: str = Field(default="paid", max_length=8)
    #: camelCase JSON
    receipt_message: str
    receipt_signature: str = Field(max_length=132)
    state_hash: str = Field(max_length=66)
    #: raw, cumulative over the job
    job_work: int = Field(sa_type=BigInteger)
    #: raw, cumulative over the lease
    lease_work: int = Field(sa_type=BigInteger)
    checkpoint_cid: str = Field(max_length=64)
    #: ResultInfo as JSON, where the job ended with it
    result_info: str | None = None
    #: what the job printed in it
    log_text: str = ""
    #: unix seconds
    received_time: int = 0
    #: camelCase JSON; None until it is paid
    voucher_message: str | None = None
    voucher_signature: str | None = Field(default=None, max_length=132)
    #: base units in all
    cumulative_base: int = Field(default=0, sa_type=BigInteger)
    last: bool = False
    #: unix seconds at which the voucher was signed
    signed_time: int = 0


class CheckRow(SQLModel, table=True):
    """A segment that the market runs itself."""

    __tablename__ = "segment_checks"
    id: int | None = Field(default=None, primary_key=True)
    job_id: str = Field(index=True, max_length=40)
    sequence: int
    #: tie (the lanes do not agree) · spot (before `last`)
    purpose: str = Field(max_length=8)
    #: due → running → found | failed; spared (drawn, and not to be checked); spent (what it was about was struck)
    state: str = Field(index=True, max_length=8)
    #: times that it was begun
    attempts: int = 0
    #: unix seconds
    started_time: int = 0
    #: JSON of what the run gave
    found: str | None = None
    #: why it could not be run
    why: str = ""


class JobNoteRow(SQLModel, table=True):
    """What happened to a job's lanes, in words for its buyer."""

    __tablename__ = "job_notes"
    id: int | None = Field(default=None, primary_key=True)
    job_id: str = Field(index=True, max_length=40)
    text: str
    #: unix seconds
    noted_time: int
