"""Intents to be sent, and the transactions that carry them. A nonce never exists without its signed bytes."""

from sqlmodel import Field, Index, SQLModel, text


class IntentRow(SQLModel, table=True):
    """One thing to do on chain. Doing it twice is harmless: the ledger skips what is already so."""

    __tablename__ = "intents"
    #: No two live intents about the same thing.
    __table_args__ = (
        Index(
            "ix_intents_live",
            "kind",
            "subject",
            unique=True,
            sqlite_where=text("state IN ('pending', 'assigned')"),
            postgresql_where=text("state IN ('pending', 'assigned')"),
        ),
    )
    id: int | None = Field(default=None, primary_key=True)
    #: open · redeem · close · close_last · finalise
    kind: str = Field(max_length=16)
    #: lease id, 0x hex
    subject: str = Field(index=True, max_length=66)
    #: JSON of what the call needs
    payload: str
    #: pending → assigned → done | dropped
    state: str = Field(index=True, max_length=16)
    transaction_id: int | None = Field(default=None, index=True)
    #: why it was dropped
    note: str | None = None
    #: unix seconds
    created_time: int


class TransactionRow(SQLModel, table=True):
    """A signed transaction. `raw` is stored before it is broadcast, and broadcast again until it is final."""

    __tablename__ = "transactions"
    __table_args__ = (Index("ix_transactions_nonce", "sender", "nonce"),)
    id: int | None = Field(default=None, primary_key=True)
    sender: str = Field(max_length=42)
    nonce: int
    kind: str = Field(max_length=16)
    #: 0x hex
    tx_hash: str = Field(unique=True, max_length=66)
    #: signed bytes, 0x hex
    raw: str
    #: SIGNED → SENT → MINED → FINAL, or FAILED (its nonce was taken by another transaction)
    state: str = Field(index=True, max_length=8)
    #: unix seconds
    created_time: int
    mined_block: int | None = None
    mined_hash: str | None = Field(default=None, max_length=66)
    succeeded: bool | None = None
    note: str | None = None
