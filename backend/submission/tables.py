"""Intents to be sent, and the transactions that carry them. A nonce never exists without its signed bytes."""

from typing import Final

from sqlalchemy import BigInteger
from sqlmodel import Field, Index, SQLModel, text

LIVE: Final = ("pending", "assigned")
"""States of an intent that is still to be done."""


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
    #: pending → assigned → done | dropped. An `open` stays assigned until a final block has its lease, and is skipped
    #: (the ledger passed it over) until that is final, or it is asked again
    state: str = Field(index=True, max_length=16)
    transaction_id: int | None = Field(default=None, index=True)
    #: why it was dropped
    note: str | None = None
    #: unix seconds
    created_time: int


class TransactionRow(SQLModel, table=True):
    """One nonce of one key: what is to be done with it, and what became of that (plan.py has the words)."""

    __tablename__ = "transactions"
    __table_args__ = (Index("ix_transactions_nonce", "sender", "nonce", unique=True),)
    id: int | None = Field(default=None, primary_key=True)
    sender: str = Field(max_length=42)
    nonce: int
    #: as of its intents, or `fill`: it only uses a nonce that others wait for
    kind: str = Field(max_length=16)
    gas: int
    #: SIGNED → SENT → MINED → FINAL | CANCELLED, or DISPLACED
    state: str = Field(index=True, max_length=16)
    #: not final yet
    watched: bool = Field(default=True, index=True)
    #: unix seconds
    created_time: int = Field(index=True)
    #: of the attempt that was mined, 0x hex
    tx_hash: str | None = Field(default=None, unique=True, max_length=66)
    #: where, or the head at which it was found displaced
    mined_block: int | None = None
    mined_hash: str | None = Field(default=None, max_length=66)
    succeeded: bool | None = None
    gas_used: int = 0
    #: wei per gas
    price_wei: int = Field(default=0, sa_type=BigInteger)
    #: what the gas cost
    fee_gwei_up: int = Field(default=0, sa_type=BigInteger)
    #: unix seconds since when the nonce is used, and by none of the attempts
    missing_since_time: int | None = None


class AttemptRow(SQLModel, table=True):
    """One signing of a transaction's nonce, and how its broadcast went; its bytes are `SignedBytesRow`'s."""

    __tablename__ = "attempts"
    id: int | None = Field(default=None, primary_key=True)
    transaction_id: int = Field(index=True)
    #: 0x hex
    tx_hash: str = Field(unique=True, max_length=66)
    #: a transfer of nothing to ourselves
    is_cancel: bool
    #: wei per gas
    max_fee_wei: int = Field(sa_type=BigInteger)
    priority_fee_wei: int = Field(sa_type=BigInteger)
    #: unix seconds, and the newest block then
    signed_time: int
    signed_block: int
    #: unix seconds of the newest broadcast, and what the node said to it (refusals.py)
    broadcast_time: int | None = None
    answer: str | None = Field(default=None, max_length=16)


class SignedBytesRow(SQLModel, table=True):
    """What an attempt broadcasts: stored before that, with its nonce, and never changed or forgotten.

    The call is in there and nowhere else. Apart from the attempt, since a database writes a row that changes anew, and
    reads it, as a whole.
    """

    __tablename__ = "signed_bytes"
    attempt_id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    raw: bytes
