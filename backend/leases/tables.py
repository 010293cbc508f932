"""What the market did for each lease. Its facts (state, money) are in the mirror."""

from sqlmodel import Field, SQLModel


class LeaseIntention(SQLModel, table=True):
    """A fill that the market proposed to open."""

    __tablename__ = "lease_intentions"
    #: 0x hex
    lease: str = Field(primary_key=True, max_length=66)
    job_id: str = Field(index=True, max_length=40)
    fill: int
    provider: str = Field(index=True, max_length=42)
    offer_digest: str = Field(max_length=66)
    #: pico-dollars per metered unit, as offered
    rate: int
    #: proposed · running · ended (nothing more will be signed) · settled (a final block closed it)
    state: str = Field(index=True, max_length=16)
    #: raw work of the job before this lease
    base_work: int = 0
    #: segments of the job before this lease
    base_sequence: int = 0
    #: unix seconds
    proposed_time: int
    #: close has been asked for: the EndReason, else 0
    closing_reason: int = 0
    #: unix seconds at which `last` was signed
    last_signed_time: int | None = None
    #: provider's signature of the last voucher, 0x hex
    countersignature: str | None = None


class UsageRow(SQLModel, table=True):
    """A usage receipt with the voucher that answered it."""

    __tablename__ = "usage_receipts"
    lease: str = Field(primary_key=True, max_length=66)
    #: segment of the job, from 1
    sequence: int = Field(primary_key=True)
    job_id: str = Field(index=True, max_length=40)
    #: camelCase JSON
    receipt_message: str
    receipt_signature: str = Field(max_length=132)
    state_hash: str = Field(max_length=66)
    #: raw, cumulative over the job
    job_work: int
    #: raw, cumulative over the lease
    lease_work: int
    checkpoint_cid: str = Field(max_length=64)
    #: camelCase JSON
    voucher_message: str
    voucher_signature: str = Field(max_length=132)
    #: base units in all
    cumulative_base: int
    last: bool
    #: unix seconds
    signed_time: int
