"""The mirror's schema. Bytes are bytes; a block is known by its hash, so both sides of a fork can be stored.

Facts (blocks, bodies, transactions, events) are never deleted: a reorg clears `canonical`. Projections (account, lease,
claim and delegate versions) are versions that hold in blocks valid_from ≤ b < valid_to, so a rollback reopens what it
must, and any past block can be asked. Amounts are base units, times unix seconds.

`indexer.facts` has one tuple type a table, with the same columns in the same order.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Dialect,
    Index,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Text,
    TypeDecorator,
    text,
)
from sqlalchemy.orm import registry
from sqlalchemy.types import TypeEngine
from sqlmodel import Field, SQLModel


class Unsigned64(TypeDecorator[int]):
    """0 … 2⁶⁴−1. SQLite's integers end at 2⁶³−1, so there it is text, zero-padded to sort as a number does."""

    impl = String(20)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(String(20) if dialect.name == "sqlite" else Numeric(20, 0))

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Any:
        return f"{value:020d}" if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        return None if value is None else int(value)


NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
mirror_registry: Final = registry(metadata=MetaData(naming_convention=NAMING))


class MirrorTable(SQLModel, registry=mirror_registry):
    """Its own metadata: the market's tables live in another database."""


_CURRENT: Final[dict[str, Any]] = {
    "sqlite_where": text("valid_to IS NULL"),
    "postgresql_where": text("valid_to IS NULL"),
}
_CANONICAL: Final[dict[str, Any]] = {"sqlite_where": text("canonical"), "postgresql_where": text("canonical")}


def _bytes(size: int | None = None, *, primary_key: bool = False, index: bool = False, nullable: bool = False) -> Any:
    """`size` where every value has the same, which COPY makes use of."""
    return Field(
        sa_type=LargeBinary,
        primary_key=primary_key,
        index=index,
        nullable=nullable,
        sa_column_kwargs={"info": {"size": size}},
    )


def _int(*, primary_key: bool = False, index: bool = False, nullable: bool = False) -> Any:
    return Field(
        sa_type=BigInteger,
        primary_key=primary_key,
        index=index,
        nullable=nullable,
        sa_column_kwargs={"autoincrement": False} if primary_key else {},
    )


def _small() -> Any:
    return Field(sa_type=SmallInteger, nullable=False)


def _text(size: int, *, primary_key: bool = False, index: bool = False) -> Any:
    return Field(sa_type=String(size), primary_key=primary_key, index=index, nullable=False)


def _flag() -> Any:
    return Field(sa_type=Boolean, nullable=False)


def _unsigned() -> Any:
    return Field(sa_type=Unsigned64, nullable=False)


class Chains(MirrorTable, table=True):
    """The one ledger that this mirror is of."""

    __tablename__ = "chains"
    chain_id: int = _int(primary_key=True)
    genesis_hash: bytes = _bytes(32)
    ledger: bytes = _bytes(20)
    token: bytes = _bytes(20)
    deploy_block: int = _int()


class Cursor(MirrorTable, table=True):
    """How far the mirror is: moves in the same transaction as the rows. One row, key 1."""

    __tablename__ = "cursor"
    id: int = _int(primary_key=True)
    #: canonical block up to which everything is stored; NULL before the deployment's block
    number: int | None = _int(nullable=True)
    hash: bytes | None = _bytes(32, nullable=True)
    #: newest block whose ledger head was proved by a storage proof
    proved_number: int | None = _int(nullable=True)
    #: blocks up to this one are never undone
    finalized_number: int = _int()
    #: grows with every rollback
    reorg_epoch: int = _int()
    #: why the mirror stopped to write, if it did
    halted: str | None = Field(sa_type=Text, nullable=True)


class Blocks(MirrorTable, table=True):
    """Every block from the deployment's on."""

    __tablename__ = "blocks"
    __table_args__ = (
        Index("uq_blocks_canonical_number", "number", unique=True, **_CANONICAL),
        Index(
            "ix_blocks_light",
            "number",
            sqlite_where=text("NOT whole AND canonical"),
            postgresql_where=text("NOT whole AND canonical"),
        ),
    )
    hash: bytes = _bytes(32, primary_key=True)
    number: int = _int(index=True)
    parent_hash: bytes = _bytes(32)
    time: int = _int()
    header_rlp: bytes = _bytes()
    #: how it was shown to hold no other logs of ours: bloom (provably none), receipts (trie rebuilt), or head (by a
    #: storage proof of the ledger's head at this block or after it)
    method: str = _text(8)
    #: its transactions were checked too, so `transactions` has all that called us, and `bodies` what touches us
    whole: bool = _flag()
    #: the ledger's events up to and with this block, Skipped ones included
    event_count: int = _int()
    #: ledger head after this block, as in the contract's slot 0, 32 bytes
    head_slot: bytes = _bytes(32)
    canonical: bool = _flag()


class Bodies(MirrorTable, table=True):
    """What a whole block that touches us holds, as the chain hashed it: its rows are derived again without a node."""

    __tablename__ = "bodies"
    block_hash: bytes = _bytes(32, primary_key=True)
    #: zlib of an RLP list of raw transactions
    transactions: bytes = _bytes()
    #: zlib of an RLP list of consensus-encoded transaction receipts
    receipts: bytes = _bytes()


class Transactions(MirrorTable, table=True):
    """Transactions that called our contracts or made the ledger emit.

    Of a block that is not `whole` only those that made the ledger emit, by the hash that a node named.
    """

    __tablename__ = "transactions"
    block_hash: bytes = _bytes(32, primary_key=True)
    tx_index: int = _int(primary_key=True)
    block_number: int = _int(index=True)
    hash: bytes = _bytes(32, index=True)
    #: NULL, like all below, until the block is whole
    sender: bytes | None = _bytes(20, index=True, nullable=True)
    #: `to`; NULL also when it created a contract
    recipient: bytes | None = _bytes(20, index=True, nullable=True)
    nonce: int | None = Field(sa_type=Unsigned64, nullable=True)
    #: first four bytes of the calldata, or fewer
    selector: bytes | None = _bytes(nullable=True)
    succeeded: bool | None = Field(sa_type=Boolean, nullable=True)
    gas_used: int | None = _int(nullable=True)


class Events(MirrorTable, table=True):
    """The ledger's logs, raw, each with what finds it; `protocol.events.decode_log` reads the rest.

    On PostgreSQL in partitions by block number (`indexer.partitions`), so an index over it must hold the number.
    """

    __tablename__ = "events"
    __table_args__ = (
        Index("uq_events_canonical_seq", "seq", "block_number", unique=True, **_CANONICAL),
        Index("ix_events_kind", "kind", "seq"),
        Index("ix_events_lease", "lease", "seq"),
        {"postgresql_partition_by": "RANGE (block_number)"},
    )
    block_number: int = _int(primary_key=True)
    #: counted by us over the block's receipts; in a block of method `head` as a node said it
    log_index: int = _int(primary_key=True)
    block_hash: bytes = _bytes(32, primary_key=True)
    tx_index: int = _int()
    #: 1, 2, 3, … over the canonical history, Skipped ones included
    seq: int = _int()
    kind: str = _text(32)
    #: the lease that it speaks of
    lease: bytes | None = _bytes(32, nullable=True)
    #: one to four topics, 32 bytes each, joined
    topics: bytes = _bytes()
    data: bytes = _bytes()
    canonical: bool = _flag()


class Parties(MirrorTable, table=True):
    """Whom a canonical event concerns: its accounts, and both sides of its lease."""

    __tablename__ = "parties"
    account: bytes = _bytes(20, primary_key=True)
    seq: int = _int(primary_key=True)


class Leases(MirrorTable, table=True):
    """What never changes of a lease."""

    __tablename__ = "leases"
    __table_args__ = (Index("ix_leases_place", "opened_block", "opened_log_index"),)
    lease: bytes = _bytes(32, primary_key=True)
    buyer: bytes = _bytes(20, index=True)
    provider: bytes = _bytes(20, index=True)
    order_digest: bytes = _bytes(32, index=True)
    offer_digest: bytes = _bytes(32)
    job: bytes = _bytes(32, index=True)
    voucher_signer: bytes = _bytes(20)
    opener: bytes = _bytes(20)
    fill: int = _small()
    meter: int = _small()
    zone: int = _small()
    #: pico-dollars per metered unit
    rate: int = _int()
    locked_base: int = _int()
    #: of the provider
    bond_base: int = _int()
    fee_base: int = _int()
    notice_seconds: int = _int()
    opened_block: int = _int()
    opened_log_index: int = _int()
    opened_tx: bytes = _bytes(32)
    opened_time: int = _int()


class LeaseVersions(MirrorTable, table=True):
    """What changes of a lease. The newest is the one without `valid_to`: few a lease, so its key finds it."""

    __tablename__ = "lease_versions"
    lease: bytes = _bytes(32, primary_key=True)
    valid_from: int = _int(primary_key=True)
    valid_to: int | None = _int(nullable=True)
    #: the event that made it so
    seq: int = _int()
    paid_base: int = _int()
    refunded_base: int = _int()
    deadline_time: int = _int()
    state: int = _small()
    reason: int = _small()
    done: bool = _flag()
    #: ended by the buyer's side before its duration
    early: bool = _flag()
    #: the provider acknowledged or claimed
    responded: bool = _flag()
    #: of the bond, to the buyer
    penalty_base: int = _int()
    closed_block: int | None = _int(nullable=True)
    closed_tx: bytes | None = _bytes(32, nullable=True)


class ClaimVersions(MirrorTable, table=True):
    """What a provider claims of a lease, first perhaps as a commitment."""

    __tablename__ = "claim_versions"
    __table_args__ = (Index("uq_claim_versions_current", "lease", unique=True, **_CURRENT),)
    lease: bytes = _bytes(32, primary_key=True)
    valid_from: int = _int(primary_key=True)
    valid_to: int | None = _int(nullable=True)
    seq: int = _int()
    #: the commitment while `reveal_time` is not 0
    result: bytes = _bytes(32)
    #: checkpoint that the lease started at, or zero
    start: bytes = _bytes(32)
    work: int = _unsigned()
    target_base: int = _int()
    #: from when on the commitment can be revealed; 0 = nothing to reveal
    reveal_time: int = _int()
    last: bool = _flag()


class AccountVersions(MirrorTable, table=True):
    """Balances of an account."""

    __tablename__ = "account_versions"
    __table_args__ = (Index("uq_account_versions_current", "account", unique=True, **_CURRENT),)
    account: bytes = _bytes(20, primary_key=True)
    valid_from: int = _int(primary_key=True)
    valid_to: int | None = _int(nullable=True)
    seq: int = _int()
    free_base: int = _unsigned()
    #: as a buyer: what open leases still hold, Σ (locked − paid)
    locked_base: int = _unsigned()
    bonded_base: int = _unsigned()
    open_leases: int = _int()
    epoch: int = _unsigned()
    #: a beneficiary is set
    guarded: bool = _flag()
    #: who alone withdraws; zero = the account itself
    beneficiary: bytes = _bytes(20)


class DelegateVersions(MirrorTable, table=True):
    """A key's right to commit its buyer's money."""

    __tablename__ = "delegate_versions"
    __table_args__ = (Index("uq_delegate_versions_current", "buyer", "key", unique=True, **_CURRENT),)
    buyer: bytes = _bytes(20, primary_key=True)
    key: bytes = _bytes(20, primary_key=True)
    valid_from: int = _int(primary_key=True)
    valid_to: int | None = _int(nullable=True)
    seq: int = _int()
    remaining_base: int = _unsigned()
    until_time: int = _int()


class Cancelled(MirrorTable, table=True):
    """Offers and orders that their account voided."""

    __tablename__ = "cancelled"
    __table_args__ = (Index("ix_cancelled_message", "account", "digest"),)
    #: a message can be voided twice
    seq: int = _int(primary_key=True)
    account: bytes = _bytes(20)
    digest: bytes = _bytes(32)
    block_number: int = _int(index=True)


class Payments(MirrorTable, table=True):
    """Money that moved to a provider: by a voucher, or when the lease closed (then `result` is zero)."""

    __tablename__ = "payments"
    __table_args__ = (Index("ix_payments_place", "block_number", "log_index"),)
    seq: int = _int(primary_key=True)
    block_number: int = _int()
    log_index: int = _int()
    lease: bytes = _bytes(32, index=True)
    provider: bytes = _bytes(20, index=True)
    amount_base: int = _int()
    paid_base: int = _int()
    result: bytes = _bytes(32)
    last: bool = _flag()
    tx_hash: bytes = _bytes(32)
    block_time: int = _int()


class Disputes(MirrorTable, table=True):
    """Challenges: one a lease at most. What came of it is in its LeaseRuled or DisputeLapsed."""

    __tablename__ = "disputes"
    lease: bytes = _bytes(32, primary_key=True)
    seq: int = _int()
    block_number: int = _int(index=True)
    log_index: int = _int()
    challenger: bytes = _bytes(20, index=True)
    bond_base: int = _int()
    #: digest of the usage receipt in dispute; zero = the claim
    receipt: bytes = _bytes(32)


class ReorgJournal(MirrorTable, table=True):
    """Every rollback, for ever."""

    __tablename__ = "reorg_journal"
    reorg_epoch: int = _int(primary_key=True)
    #: last block that both histories share
    ancestor_number: int = _int()
    old_number: int = _int()
    old_hash: bytes = _bytes(32)
    #: the head that the node named when the reorg was seen
    new_number: int = _int()
    new_hash: bytes = _bytes(32)
    depth: int = _int()
    #: events up to the ancestor: those with a greater seq were undone
    ancestor_seq: int = _int()
    events_undone: int = _int()
    #: unix seconds, this machine's clock
    seen_time: int = _int()


class Audits(MirrorTable, table=True):
    """Proofs of the ledger head, asked of the node as the mirror goes."""

    __tablename__ = "audits"
    block_hash: bytes = _bytes(32, primary_key=True)
    block_number: int = _int(index=True)
    expected_slot: bytes = _bytes()
    proved_slot: bytes = _bytes()
    holds: bool = _flag()
    seen_time: int = _int()


TABLES: Final = mirror_registry.metadata.tables
