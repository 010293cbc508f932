"""What the read door hands out: frozen rows. Addresses are EIP-55, hashes bytes, amounts base units, times unix."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from indexer.levels import Finality, Level, finality_of, level_of
from protocol.events import EndReason, LeaseState, LedgerEvent, LedgerHead, decode_words, to_json
from protocol.hashing import Address

#: block number and log index of a row, for keyset pages
Place: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorStatus:
    """How far the mirror is, and how much of it is proved."""

    chain_id: int
    ledger: Address
    token: Address
    deploy_block: int
    block_number: int
    block_hash: bytes
    block_time: int
    #: ledger head at this block
    head: LedgerHead
    #: newest block at which a storage proof showed that head
    proved_number: int | None
    finalized_number: int | None
    #: grows with every rollback
    reorg_epoch: int
    #: why the mirror stopped to write, if it did
    halted: str | None
    #: newest block that is deep enough for the reader's setting
    confirmed_number: int = 0
    #: canonical events so far, Skipped ones included: the newest one's seq
    event_count: int = 0

    def level_of(self, number: int) -> Level:
        """How far a statement about block `number` was checked."""
        return level_of(number, self.proved_number, halted=self.halted is not None)

    def finality_of(self, number: int) -> Finality:
        """Whether block `number` can still be undone."""
        return finality_of(number, self.finalized_number or 0, self.confirmed_number)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """An account; all zero if the ledger never saw it."""

    address: Address
    free_base: int
    #: as a buyer: what its leases that are not Closed still hold
    locked_base: int
    bonded_base: int
    #: as a provider
    open_leases: int
    epoch: int
    #: who alone withdraws; None = the account itself
    beneficiary: Address | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegateRow:
    """A key that may commit its buyer's money."""

    buyer: Address
    key: Address
    remaining_base: int
    until_time: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRow:
    """A lease as the ledger stores it, with the terms it was opened by."""

    lease: bytes
    buyer: Address
    provider: Address
    #: digests
    order: bytes
    offer: bytes
    job: bytes
    voucher_signer: Address
    opener: Address
    fill: int
    meter: int
    zone: int
    #: pico-dollars per metered unit
    rate: int
    locked_base: int
    #: of the provider
    bond_base: int
    fee_base: int
    paid_base: int
    refunded_base: int
    #: of the bond, to the buyer
    penalty_base: int
    deadline_time: int
    notice_seconds: int
    #: as stored: an OPEN lease past its deadline is CLOSING without a transaction
    state: LeaseState
    reason: EndReason
    done: bool
    #: ended by the buyer's side before its duration
    early: bool
    #: the provider acknowledged the close, or claimed
    responded: bool
    opened_block: int
    opened_tx: bytes
    opened_time: int
    closed_block: int | None
    closed_tx: bytes | None
    #: of its opening
    finality: Finality
    #: with `opened_block` its place, for keyset pages
    opened_log_index: int = 0


class Holder(NamedTuple):
    """Who has a lease, and since which block: what is asked of many at once."""

    provider: Address
    opened_block: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRow:
    """What a provider claims of a lease."""

    lease: bytes
    #: the commitment while `reveal_time` is not 0
    result: bytes
    #: checkpoint that the lease started at, or zero
    start: bytes
    work: int
    #: base units that it is to have in all
    target_base: int
    #: from when on the commitment can be revealed; 0 = nothing to reveal
    reveal_time: int
    last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeRow:
    """A challenge, decided or not."""

    lease: bytes
    challenger: Address
    bond_base: int
    #: digest of the usage receipt in dispute; zero = the claim
    receipt: bytes

    @property
    def is_of_receipt(self) -> bool:
        return any(self.receipt)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRow:
    """Money that moved to a provider: by a voucher, or when the lease closed (then `result` is zero)."""

    lease: bytes
    provider: Address
    amount_base: int
    #: of this lease, with this payment
    paid_base: int
    result: bytes
    last: bool
    block_number: int
    block_time: int
    tx_hash: bytes
    log_index: int


class EventRow(NamedTuple):
    """An event in its place; orphaned ones stay, with `canonical` False.

    A tuple, as the database gives it, because there are more of these than of all other rows.
    """

    #: 1, 2, 3, … over the canonical history
    seq: int
    kind: str
    #: joined
    topics: bytes
    data: bytes
    block_number: int
    block_hash: bytes
    block_time: int
    tx_hash: bytes
    log_index: int
    canonical: bool

    @property
    def event(self) -> LedgerEvent:
        """Decoded; raises `BadEvent`."""
        return decode_words(self.topics, self.data)

    @property
    def args(self) -> dict[str, Any]:
        """The event's fields as JSON has them."""
        return to_json(self.event)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRow:
    """A block from the deployment's on."""

    number: int
    hash: bytes
    parent_hash: bytes
    time: int
    canonical: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionRow:
    """A transaction that touched the ledger or its token; others are not mirrored."""

    hash: bytes
    block_number: int
    block_hash: bytes
    tx_index: int
    #: None, like status and gas_used, of a block whose transactions are not fetched yet
    sender: Address | None
    to: Address | None
    #: 1 succeeded, 0 reverted
    status: int | None
    gas_used: int | None
    #: name in our ABIs, if its selector is known
    function: str | None


@dataclass(frozen=True, slots=True)
class ReceiptLogRow:
    """A log of a transaction receipt, of whatever contract."""

    address: Address
    topics: tuple[bytes, ...]
    data: bytes
    #: counted over the block
    log_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeTransaction:
    """A transaction of a block that is stored whole, with all that it said and did."""

    hash: bytes
    block_number: int
    block_hash: bytes
    block_time: int
    tx_index: int
    sender: Address
    to: Address | None
    #: the contract that it made, if it called nobody
    creates: Address | None
    #: what was signed, by JSON-RPC's names: numbers are int, strings bytes
    fields: Mapping[str, Any]
    #: that were paid for a unit of gas
    gas_price_wei: int
    succeeded: bool
    gas_used: int
    #: by the block up to and with it
    cumulative_gas: int
    logs: tuple[ReceiptLogRow, ...]
    logs_bloom: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeBlock:
    """A canonical block with its header's fields by JSON-RPC's names: numbers are int, strings bytes."""

    hash: bytes
    header: Mapping[str, Any]
    #: None where the mirror keeps the header only
    transactions: tuple[WholeTransaction, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRow:
    """A canonical event as the chain has it, not decoded."""

    kind: str
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int
    block_hash: bytes
    block_time: int
    tx_hash: bytes
    tx_index: int
    log_index: int
    #: None where its block's body is not stored
    transaction: WholeTransaction | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRow:
    """What a provider did here."""

    address: Address
    leases: int
    earned_base: int
    open_leases: int
    zones: tuple[int, ...]
    #: of its first and its newest lease
    first_block: int
    last_block: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """The ledger in figures."""

    leases: int
    open_leases: int
    paid_base: int
    fees_base: int
    providers: int
    buyers: int
    events: int
    blocks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """Something that a search found."""

    #: lease · transaction · block · job · account
    kind: str
    id: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReorgRow:
    """A rollback."""

    epoch: int
    #: first block that was replaced
    fork_number: int
    old_head: bytes
    new_head: bytes
    depth: int
    #: events up to this number stood; 0 for one that was seen before the mirror noted it
    last_kept_seq: int
    #: events that were orphaned
    events_undone: int
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """A storage proof of the ledger's head that was asked of the node, and what came of it."""

    block_number: int
    block_hash: bytes
    #: slot 0 as this mirror computed it, and as the proof showed it: hash and count, 32 bytes
    expected_slot: bytes
    proved_slot: bytes
    holds: bool
    #: unix seconds, the mirror's clock
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Consecutive canonical blocks that were shown in one way to hold no other logs of ours."""

    first_number: int
    last_number: int
    #: receipts: the trie was rebuilt · bloom: the header's bloom filter rules them out · head: a storage proof of the
    #: ledger's head counts them
    method: str
    level: Level


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementRow:
    """What one event did to an account's money, and what the account had after it. Base units."""

    seq: int
    kind: str
    lease: bytes | None
    free_change: int
    locked_change: int
    bonded_change: int
    free_base: int
    locked_base: int
    bonded_base: int
    block_number: int
    block_hash: bytes
    block_time: int
    tx_hash: bytes
    log_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """How many rows a list has."""

    count: int
    #: counting them all would cost more than a page
    estimate: bool
