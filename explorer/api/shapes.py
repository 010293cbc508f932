"""The JSON of `/v1/ledger`: amounts are decimal strings in base units, hashes 0x hex, times unix seconds of the chain.

Typed dictionaries: they document the API, mypy checks them, and orjson writes them without another copy.
"""

from typing import Any, Generic, TypeVar

from typing_extensions import TypedDict

from explorer.sentences import plain, sentence
from explorer.spelling import STATES, iso, zone_id
from explorer.standing import standing
from indexer.queries import (
    AccountRow,
    BlockRow,
    ClaimRow,
    DisputeRow,
    EventRow,
    LeaseRow,
    MirrorStatus,
    PaymentRow,
    ProviderRow,
    ReorgRow,
    Stats,
    TransactionRow,
)
from protocol.hashing import cid_of, to_hex

T = TypeVar("T")


class One(TypedDict, Generic[T]):
    """A single fact."""

    data: T
    has_more: bool
    next_page_token: str | None


class Many(TypedDict, Generic[T]):
    """A page of facts, newest first."""

    data: list[T]
    has_more: bool
    next_page_token: str | None


class HeadFact(TypedDict):
    """The ledger's commitment to all its events."""

    hash: str
    count: str


class StatusFact(TypedDict):
    """How far the mirror is, and how much of it is proved."""

    object: str
    chain_id: int
    ledger: str
    token: str
    deploy_block: int
    block_number: int
    block_hash: str
    block_time: int
    head: HeadFact
    proved_block: int | None
    finalised_block: int | None
    reorg_epoch: int
    halted: str | None


def status_fact(row: MirrorStatus) -> StatusFact:
    return {
        "object": "status",
        "chain_id": row.chain_id,
        "ledger": row.ledger,
        "token": row.token,
        "deploy_block": row.deploy_block,
        "block_number": row.block_number,
        "block_hash": to_hex(row.block_hash),
        "block_time": row.block_time,
        "head": {"hash": f"0x{row.head.hash:052x}", "count": str(row.head.count)},
        "proved_block": row.proved_number,
        "finalised_block": row.finalized_number,
        "reorg_epoch": row.reorg_epoch,
        "halted": row.halted,
    }


class BlockFact(TypedDict):
    object: str
    number: int
    hash: str
    parent_hash: str
    time: int
    canonical: bool


def block_fact(row: BlockRow) -> BlockFact:
    return {
        "object": "block",
        "number": row.number,
        "hash": to_hex(row.hash),
        "parent_hash": to_hex(row.parent_hash),
        "time": row.time,
        "canonical": row.canonical,
    }


class TransactionFact(TypedDict):
    object: str
    hash: str
    block_number: int
    block_hash: str
    index: int
    sender: str
    to: str | None
    succeeded: bool
    gas_used: str
    function: str | None


def transaction_fact(row: TransactionRow) -> TransactionFact:
    return {
        "object": "transaction",
        "hash": to_hex(row.hash),
        "block_number": row.block_number,
        "block_hash": to_hex(row.block_hash),
        "index": row.tx_index,
        "sender": row.sender,
        "to": row.to,
        "succeeded": row.status == 1,
        "gas_used": str(row.gas_used),
        "function": row.function,
    }


class AccountFact(TypedDict):
    object: str
    address: str
    free_base: str
    locked_base: str
    bonded_base: str
    open_leases: int
    epoch: str
    #: who alone withdraws, if it is not the account itself
    beneficiary: str | None


def account_fact(row: AccountRow) -> AccountFact:
    return {
        "object": "account",
        "address": row.address,
        "free_base": str(row.free_base),
        "locked_base": str(row.locked_base),
        "bonded_base": str(row.bonded_base),
        "open_leases": row.open_leases,
        "epoch": str(row.epoch),
        "beneficiary": row.beneficiary,
    }


class LeaseFact(TypedDict):
    """A lease; `state` is the stored one, `state_now` the one that counts at the indexed block's time."""

    object: str
    lease: str
    order: str
    offer: str
    job: str
    job_cid: str
    fill: int
    buyer: str
    provider: str
    voucher_signer: str
    opener: str
    zone: int
    zone_id: str | None
    meter: int
    rate_pico_dollars: str
    locked_base: str
    paid_base: str
    refunded_base: str
    remaining_base: str
    fee_base: str
    #: of the provider, and what of it went to the buyer
    bond_base: str
    penalty_base: str
    state: str
    state_now: str
    reason: str
    done: bool
    early: bool
    responded: bool
    deadline_time: int
    notice_seconds: int
    opened_block: int
    opened_time: int
    opened_transaction: str
    closed_block: int | None
    closed_transaction: str | None
    finality: str


def lease_fact(row: LeaseRow, time: int) -> LeaseFact:
    """`time`: unix seconds of the indexed block."""
    now = standing(row, time)
    return {
        "object": "lease",
        "lease": to_hex(row.lease),
        "order": to_hex(row.order),
        "offer": to_hex(row.offer),
        "job": to_hex(row.job),
        "job_cid": cid_of(row.job),
        "fill": row.fill,
        "buyer": row.buyer,
        "provider": row.provider,
        "voucher_signer": row.voucher_signer,
        "opener": row.opener,
        "zone": row.zone,
        "zone_id": zone_id(row.zone),
        "meter": row.meter,
        "rate_pico_dollars": str(row.rate),
        "locked_base": str(row.locked_base),
        "paid_base": str(row.paid_base),
        "refunded_base": str(row.refunded_base),
        "remaining_base": str(now.remaining_base),
        "fee_base": str(row.fee_base),
        "bond_base": str(row.bond_base),
        "penalty_base": str(row.penalty_base),
        "state": STATES[row.state],
        "state_now": STATES[now.state],
        "reason": row.reason.name.lower(),
        "done": row.done,
        "early": row.early,
        "responded": row.responded,
        "deadline_time": row.deadline_time,
        "notice_seconds": row.notice_seconds,
        "opened_block": row.opened_block,
        "opened_time": row.opened_time,
        "opened_transaction": to_hex(row.opened_tx),
        "closed_block": row.closed_block,
        "closed_transaction": to_hex(row.closed_tx) if row.closed_tx is not None else None,
        "finality": row.finality,
    }


class ClaimFact(TypedDict):
    """`result` is the commitment while `reveal_time` is not 0."""

    result: str
    start: str
    work: str
    target_base: str
    reveal_time: int
    last: bool


class DisputeFact(TypedDict):
    """`receipt` is the digest of the usage receipt in dispute, null for the claim."""

    challenger: str
    bond_base: str
    receipt: str | None


class LeaseDetail(LeaseFact):
    """A lease with what its provider claims and what its buyer disputes."""

    claim: ClaimFact | None
    dispute: DisputeFact | None


def lease_detail(row: LeaseRow, claim: ClaimRow | None, dispute: DisputeRow | None, time: int) -> LeaseDetail:
    """`time`: unix seconds of the indexed block."""
    return {
        **lease_fact(row, time),
        "claim": None if claim is None else _claim_fact(claim),
        "dispute": None if dispute is None else _dispute_fact(dispute),
    }


def _claim_fact(row: ClaimRow) -> ClaimFact:
    return {
        "result": to_hex(row.result),
        "start": to_hex(row.start),
        "work": str(row.work),
        "target_base": str(row.target_base),
        "reveal_time": row.reveal_time,
        "last": row.last,
    }


def _dispute_fact(row: DisputeRow) -> DisputeFact:
    return {
        "challenger": row.challenger,
        "bond_base": str(row.bond_base),
        "receipt": to_hex(row.receipt) if row.is_of_receipt else None,
    }


class PaymentFact(TypedDict):
    """`result` is zero where money moved as the lease closed, by no voucher."""

    object: str
    lease: str
    provider: str
    amount_base: str
    paid_base: str
    result: str
    last: bool
    block_number: int
    block_time: int
    transaction: str
    log_index: int
    proof: str


def payment_fact(row: PaymentRow) -> PaymentFact:
    transaction = to_hex(row.tx_hash)
    return {
        "object": "payment",
        "lease": to_hex(row.lease),
        "provider": row.provider,
        "amount_base": str(row.amount_base),
        "paid_base": str(row.paid_base),
        "result": to_hex(row.result),
        "last": row.last,
        "block_number": row.block_number,
        "block_time": row.block_time,
        "transaction": transaction,
        "log_index": row.log_index,
        "proof": f"/v1/ledger/proofs/{transaction}/{row.log_index}",
    }


class EventFact(TypedDict):
    """`canonical` is false where a reorg undid the event: shown, never counted."""

    object: str
    kind: str
    sentence: str
    args: dict[str, Any]
    block_number: int
    block_hash: str
    block_time: int
    transaction: str
    log_index: int
    canonical: bool


def event_fact(row: EventRow) -> EventFact:
    return {
        "object": "event",
        "kind": row.kind,
        "sentence": plain(sentence(row.event)),
        "args": row.args,
        "block_number": row.block_number,
        "block_hash": to_hex(row.block_hash),
        "block_time": row.block_time,
        "transaction": to_hex(row.tx_hash),
        "log_index": row.log_index,
        "canonical": row.canonical,
    }


class ProviderFact(TypedDict):
    object: str
    address: str
    leases: int
    open_leases: int
    earned_base: str
    zones: list[int]
    first_block: int
    last_block: int


def provider_fact(row: ProviderRow) -> ProviderFact:
    return {
        "object": "provider",
        "address": row.address,
        "leases": row.leases,
        "open_leases": row.open_leases,
        "earned_base": str(row.earned_base),
        "zones": list(row.zones),
        "first_block": row.first_block,
        "last_block": row.last_block,
    }


class JobFact(TypedDict):
    """A job by the hash of its manifest; the manifest itself is off chain."""

    object: str
    job: str
    cid: str
    paid_base: str
    #: result hashes that `last` vouchers accepted
    results: list[str]
    leases: list[LeaseFact]


class StatsFact(TypedDict):
    object: str
    leases: int
    open_leases: int
    paid_base: str
    fees_base: str
    providers: int
    buyers: int
    events: int
    blocks: int


def stats_fact(row: Stats) -> StatsFact:
    return {
        "object": "stats",
        "leases": row.leases,
        "open_leases": row.open_leases,
        "paid_base": str(row.paid_base),
        "fees_base": str(row.fees_base),
        "providers": row.providers,
        "buyers": row.buyers,
        "events": row.events,
        "blocks": row.blocks,
    }


class ReorgFact(TypedDict):
    object: str
    epoch: int
    fork_block: int
    old_head: str
    new_head: str
    depth: int
    rows_undone: int
    at: str


def reorg_fact(row: ReorgRow) -> ReorgFact:
    return {
        "object": "reorg",
        "epoch": row.epoch,
        "fork_block": row.fork_number,
        "old_head": to_hex(row.old_head),
        "new_head": to_hex(row.new_head),
        "depth": row.depth,
        "rows_undone": row.rows_undone,
        "at": iso(row.at),
    }


class HitFact(TypedDict):
    object: str
    kind: str
    id: str
    path: str
    label: str
