"""The events of jobs, and how far the mirror's were read."""

from sqlalchemy import BigInteger
from sqlmodel import Field, Index, SQLModel, UniqueConstraint, text


class JobEventRow(SQLModel, table=True):
    """One thing that happened to a job. Its sequence has no gap, so who has n has the first n."""

    __tablename__ = "job_events"
    __table_args__ = (
        UniqueConstraint("job_id", "sequence"),
        #: facts of the chain that a reorg could undo
        Index(
            "ix_job_events_on_chain",
            "block_number",
            sqlite_where=text("block_number IS NOT NULL"),
            postgresql_where=text("block_number IS NOT NULL"),
        ),
    )
    id: int | None = Field(default=None, primary_key=True)
    job_id: str = Field(max_length=40)
    #: from 1
    sequence: int
    #: such as `job.running`, `job.segment`, `lease.closed`
    kind: str = Field(max_length=32)
    #: JSON object
    data: str
    #: unix milliseconds
    created_ms: int = Field(sa_type=BigInteger)
    #: of a fact of the chain: the block that it stands in
    block_number: int | None = None
    block_hash: str | None = Field(default=None, max_length=66)
    #: a reorg took the fact back
    retracted: bool = False


class ChainReadRow(SQLModel, table=True):
    """One row: up to which event of the mirror jobs were told."""

    __tablename__ = "chain_read"
    id: int = Field(primary_key=True)
    reorg_epoch: int
    seq: int
