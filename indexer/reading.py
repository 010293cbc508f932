"""The mirror's rows → the read door's rows: which tables a row is joined from, and how its cells are spelt."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from sqlalchemy import Select, and_, or_, select

from indexer.levels import Finality
from indexer.rows import (
    AccountRow,
    AuditRow,
    BlockRow,
    ClaimRow,
    DelegateRow,
    DisputeRow,
    EventRow,
    Hit,
    LeaseRow,
    PaymentRow,
    TransactionRow,
)
from indexer.tables import TABLES
from protocol.calls import CONTRACTS, artefact, selector
from protocol.events import EndReason, LeaseState
from protocol.hashing import Address, checksum_address, to_hex

_ACCOUNTS: Final = TABLES["account_versions"]
_BLOCKS: Final = TABLES["blocks"]
_EVENTS: Final = TABLES["events"]
_LEASES: Final = TABLES["leases"]
_STATES: Final = TABLES["lease_versions"]
_TRANSACTIONS: Final = TABLES["transactions"]

Cells = Mapping[str, Any]
"""A row of a query, by column."""

SEARCHED: Final = (
    ("lease", _LEASES.c.lease),
    ("transaction", _TRANSACTIONS.c.hash),
    ("block", _BLOCKS.c.hash),
    ("job", _LEASES.c.job),
    ("account", _ACCOUNTS.c.account),
)


def begins(column: Any, digits: str) -> Any:
    """Bytes that begin with hex digits, as a range that an index serves."""
    size = _size(column)
    low, high = bytes.fromhex(digits.ljust(2 * size, "0")[: 2 * size]), digits.ljust(2 * size, "f")[: 2 * size]
    return and_(column >= low, column <= bytes.fromhex(high)) if len(digits) <= 2 * size else column.is_(None)


def _size(column: Any) -> int:
    """Bytes of a searched column."""
    return 20 if column is _ACCOUNTS.c.account else 32


def hit(kind: str, value: bytes) -> Hit:
    spelt = checksum_address(value) if kind == "account" else to_hex(value)
    return Hit(kind=kind, id=spelt, label=f"{kind.capitalize()} {spelt}")


def holds_at(versions: Any, block: Any) -> Any:
    """The versions that hold at a block (a number, or a parameter for one); those that hold now for None."""
    if block is None:
        return versions.c.valid_to.is_(None)
    ends = or_(versions.c.valid_to.is_(None), versions.c.valid_to > block)
    return and_(versions.c.valid_from <= block, ends)


def select_leases(at_block: Any = None) -> Select[Any]:
    """Leases with their version that holds at a block, or now."""
    changing = [column for column in _STATES.c if column.name not in ("lease", "valid_from", "valid_to", "seq")]
    version = and_(_STATES.c.lease == _LEASES.c.lease, holds_at(_STATES, at_block))
    return select(_LEASES, *changing).join_from(_LEASES, _STATES, version)


def select_events(*more: Any) -> Select[Any]:
    """What an `EventRow` holds, in its order, with the events' transactions and block times; then `more` columns."""
    return (
        select(
            _EVENTS.c.seq,
            _EVENTS.c.kind,
            _EVENTS.c.topics,
            _EVENTS.c.data,
            _EVENTS.c.block_number,
            _EVENTS.c.block_hash,
            _BLOCKS.c.time.label("block_time"),
            _TRANSACTIONS.c.hash.label("tx_hash"),
            _EVENTS.c.log_index,
            _EVENTS.c.canonical,
            *more,
        )
        .join_from(
            _EVENTS,
            _TRANSACTIONS,
            and_(_TRANSACTIONS.c.block_hash == _EVENTS.c.block_hash, _TRANSACTIONS.c.tx_index == _EVENTS.c.tx_index),
        )
        .join(_BLOCKS, _BLOCKS.c.hash == _EVENTS.c.block_hash)
    )


def select_transactions() -> Select[Any]:
    return select(_TRANSACTIONS).join_from(_TRANSACTIONS, _BLOCKS, _BLOCKS.c.hash == _TRANSACTIONS.c.block_hash)


def account_row(address: Address, row: Cells | None) -> AccountRow:
    names = ("free_base", "locked_base", "bonded_base", "open_leases", "epoch")
    figures = {name: row[name] if row is not None else 0 for name in names}
    guarded = row is not None and row["guarded"]
    return AccountRow(
        address=address, **figures, beneficiary=checksum_address(row["beneficiary"]) if row and guarded else None
    )


def lease_row(row: Cells, finality: Finality) -> LeaseRow:
    return LeaseRow(
        lease=row["lease"],
        buyer=checksum_address(row["buyer"]),
        provider=checksum_address(row["provider"]),
        order=row["order_digest"],
        offer=row["offer_digest"],
        job=row["job"],
        voucher_signer=checksum_address(row["voucher_signer"]),
        opener=checksum_address(row["opener"]),
        fill=row["fill"],
        meter=row["meter"],
        zone=row["zone"],
        rate=row["rate"],
        locked_base=row["locked_base"],
        bond_base=row["bond_base"],
        fee_base=row["fee_base"],
        paid_base=row["paid_base"],
        refunded_base=row["refunded_base"],
        penalty_base=row["penalty_base"],
        deadline_time=row["deadline_time"],
        notice_seconds=row["notice_seconds"],
        state=LeaseState(row["state"]),
        reason=EndReason(row["reason"]),
        done=row["done"],
        early=row["early"],
        responded=row["responded"],
        opened_block=row["opened_block"],
        opened_tx=row["opened_tx"],
        opened_time=row["opened_time"],
        closed_block=row["closed_block"],
        closed_tx=row["closed_tx"],
        finality=finality,
        opened_log_index=row["opened_log_index"],
    )


def claim_row(row: Cells) -> ClaimRow:
    return ClaimRow(
        lease=row["lease"],
        result=row["result"],
        start=row["start"],
        work=row["work"],
        target_base=row["target_base"],
        reveal_time=row["reveal_time"],
        last=row["last"],
    )


def dispute_row(row: Cells) -> DisputeRow:
    return DisputeRow(
        lease=row["lease"],
        challenger=checksum_address(row["challenger"]),
        bond_base=row["bond_base"],
        receipt=row["receipt"],
    )


def payment_row(row: Cells) -> PaymentRow:
    return PaymentRow(
        lease=row["lease"],
        provider=checksum_address(row["provider"]),
        amount_base=row["amount_base"],
        paid_base=row["paid_base"],
        result=row["result"],
        last=row["last"],
        block_number=row["block_number"],
        block_time=row["block_time"],
        tx_hash=row["tx_hash"],
        log_index=row["log_index"],
    )


def event_row(row: Cells) -> EventRow:
    return EventRow(*[row[name] for name in EventRow._fields])


def delegate_row(row: Cells) -> DelegateRow:
    return DelegateRow(
        buyer=checksum_address(row["buyer"]),
        key=checksum_address(row["key"]),
        remaining_base=row["remaining_base"],
        until_time=row["until_time"],
    )


def audit_row(row: Cells) -> AuditRow:
    return AuditRow(
        block_number=row["block_number"],
        block_hash=row["block_hash"],
        expected_slot=row["expected_slot"],
        proved_slot=row["proved_slot"],
        holds=row["holds"],
        at=row["seen_time"],
    )


def block_row(row: Cells) -> BlockRow:
    return BlockRow(
        number=row["number"],
        hash=row["hash"],
        parent_hash=row["parent_hash"],
        time=row["time"],
        canonical=row["canonical"],
    )


def transaction_row(row: Cells) -> TransactionRow:
    sender, recipient, succeeded = row["sender"], row["recipient"], row["succeeded"]
    return TransactionRow(
        hash=row["hash"],
        block_number=row["block_number"],
        block_hash=row["block_hash"],
        tx_index=row["tx_index"],
        sender=None if sender is None else checksum_address(sender),
        to=None if recipient is None else checksum_address(recipient),
        status=None if succeeded is None else int(succeeded),
        gas_used=row["gas_used"],
        function=_functions().get(row["selector"]),
    )


@cache
def _functions() -> dict[bytes, str]:
    return {
        selector(contract, entry["name"]): entry["name"]
        for contract in CONTRACTS
        for entry in artefact(contract)["abi"]
        if entry["type"] == "function"
    }
