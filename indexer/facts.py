"""The rows that a block adds to the mirror, one tuple type a table, columns in the table's order.

Tuples, because they are what both databases take in bulk; names, because twenty columns need them.
"""

from typing import Any, Final, Literal, NamedTuple, TypeAlias

#: how a block was shown to hold no other logs of ours; see `indexer.tables.Blocks`
Method: TypeAlias = Literal["bloom", "receipts", "head"]


class BlockFact(NamedTuple):
    """A row of `blocks`."""

    hash: bytes
    number: int
    parent_hash: bytes
    time: int
    header_rlp: bytes
    method: Method
    whole: bool
    event_count: int
    head_slot: bytes
    canonical: bool


class BodyFact(NamedTuple):
    """A row of `bodies`."""

    block_hash: bytes
    transactions: bytes
    receipts: bytes


class TransactionFact(NamedTuple):
    """A row of `transactions`."""

    block_hash: bytes
    tx_index: int
    block_number: int
    hash: bytes
    sender: bytes | None
    recipient: bytes | None
    nonce: int | None
    selector: bytes | None
    succeeded: bool | None
    gas_used: int | None


class EventFact(NamedTuple):
    """A row of `events`."""

    block_number: int
    log_index: int
    block_hash: bytes
    tx_index: int
    seq: int
    kind: str
    lease: bytes | None
    topics: bytes
    data: bytes
    canonical: bool


class PartyFact(NamedTuple):
    """A row of `parties`."""

    account: bytes
    seq: int


class LeaseFact(NamedTuple):
    """A row of `leases`."""

    lease: bytes
    buyer: bytes
    provider: bytes
    order_digest: bytes
    offer_digest: bytes
    job: bytes
    voucher_signer: bytes
    opener: bytes
    fill: int
    meter: int
    zone: int
    rate: int
    locked_base: int
    bond_base: int
    fee_base: int
    notice_seconds: int
    opened_block: int
    opened_log_index: int
    opened_tx: bytes
    opened_time: int


class LeaseVersion(NamedTuple):
    """A row of `lease_versions`."""

    lease: bytes
    valid_from: int
    valid_to: int | None
    seq: int
    paid_base: int
    refunded_base: int
    deadline_time: int
    state: int
    reason: int
    done: bool
    early: bool
    responded: bool
    penalty_base: int
    closed_block: int | None
    closed_tx: bytes | None


class ClaimVersion(NamedTuple):
    """A row of `claim_versions`."""

    lease: bytes
    valid_from: int
    valid_to: int | None
    seq: int
    result: bytes
    start: bytes
    work: int
    target_base: int
    reveal_time: int
    last: bool


class AccountVersion(NamedTuple):
    """A row of `account_versions`."""

    account: bytes
    valid_from: int
    valid_to: int | None
    seq: int
    free_base: int
    locked_base: int
    bonded_base: int
    open_leases: int
    epoch: int
    guarded: bool
    beneficiary: bytes


class DelegateVersion(NamedTuple):
    """A row of `delegate_versions`."""

    buyer: bytes
    key: bytes
    valid_from: int
    valid_to: int | None
    seq: int
    remaining_base: int
    until_time: int


class CancelledFact(NamedTuple):
    """A row of `cancelled`."""

    seq: int
    account: bytes
    digest: bytes
    block_number: int


class PaymentFact(NamedTuple):
    """A row of `payments`."""

    seq: int
    block_number: int
    log_index: int
    lease: bytes
    provider: bytes
    amount_base: int
    paid_base: int
    result: bytes
    last: bool
    tx_hash: bytes
    block_time: int


class DisputeFact(NamedTuple):
    """A row of `disputes`."""

    lease: bytes
    seq: int
    block_number: int
    log_index: int
    challenger: bytes
    bond_base: int
    receipt: bytes


#: a row of any of these; where many are made they are plain
Row: TypeAlias = tuple[Any, ...]

#: table → its tuple type
FACTS: Final[dict[str, Any]] = {
    "blocks": BlockFact,
    "bodies": BodyFact,
    "transactions": TransactionFact,
    "events": EventFact,
    "parties": PartyFact,
    "leases": LeaseFact,
    "lease_versions": LeaseVersion,
    "claim_versions": ClaimVersion,
    "account_versions": AccountVersion,
    "delegate_versions": DelegateVersion,
    "cancelled": CancelledFact,
    "payments": PaymentFact,
    "disputes": DisputeFact,
}
