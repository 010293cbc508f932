"""Accounts, their delegates and statements, providers."""

from typing_extensions import TypedDict

from indexer.queries import AccountRow, DelegateRow, MirrorStatus, ProviderRow, StatementRow
from protocol.hashing import to_hex


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


class DelegateFact(TypedDict):
    """A key that may commit its buyer's money, and what remains of its cap."""

    object: str
    buyer: str
    key: str
    remaining_base: str
    #: unix seconds
    until_time: int


def delegate_fact(row: DelegateRow) -> DelegateFact:
    return {
        "object": "delegate",
        "buyer": row.buyer,
        "key": row.key,
        "remaining_base": str(row.remaining_base),
        "until_time": row.until_time,
    }


class MovementFact(TypedDict):
    """What one event did to the account: changes with their sign, balances as they were after it."""

    object: str
    seq: int
    kind: str
    lease: str | None
    free_change: str
    locked_change: str
    bonded_change: str
    free_base: str
    locked_base: str
    bonded_base: str
    block_number: int
    block_time: int
    transaction: str
    log_index: int
    proof: str
    level: str
    finality: str


def movement_fact(row: StatementRow, status: MirrorStatus) -> MovementFact:
    transaction = to_hex(row.tx_hash)
    return {
        "object": "movement",
        "seq": row.seq,
        "kind": row.kind,
        "lease": None if row.lease is None else to_hex(row.lease),
        "free_change": str(row.free_change),
        "locked_change": str(row.locked_change),
        "bonded_change": str(row.bonded_change),
        "free_base": str(row.free_base),
        "locked_base": str(row.locked_base),
        "bonded_base": str(row.bonded_base),
        "block_number": row.block_number,
        "block_time": row.block_time,
        "transaction": transaction,
        "log_index": row.log_index,
        "proof": f"/v1/ledger/proofs/{transaction}/{row.log_index}",
        "level": status.level_of(row.block_number),
        "finality": status.finality_of(row.block_number),
    }
