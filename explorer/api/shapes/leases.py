"""Leases with their claims and disputes, payments, jobs."""

from typing_extensions import TypedDict

from explorer.spelling import STATES, zone_id
from explorer.standing import standing
from indexer.queries import ClaimRow, DisputeRow, LeaseRow, Level, MirrorStatus, PaymentRow
from protocol.hashing import cid_of, to_hex


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
    #: of the block that the answer speaks of: a lease can change with every block
    level: str
    #: of its opening
    finality: str


def lease_fact(row: LeaseRow, level: Level, time: int) -> LeaseFact:
    """`time`: unix seconds of the block that the answer speaks of."""
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
        "level": level,
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


def lease_detail(
    row: LeaseRow, claim: ClaimRow | None, dispute: DisputeRow | None, level: Level, time: int
) -> LeaseDetail:
    """`level` and `time` of the block that the answer speaks of."""
    return {
        **lease_fact(row, level, time),
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
    level: str
    finality: str


def payment_fact(row: PaymentRow, status: MirrorStatus) -> PaymentFact:
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
        "level": status.level_of(row.block_number),
        "finality": status.finality_of(row.block_number),
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
