"""Blocks, transactions, events, and what a search finds."""

from typing import Any

from typing_extensions import TypedDict

from explorer.sentences import told
from indexer.queries import BlockRow, EventRow, MirrorStatus, TransactionRow
from protocol.events import decode_fields, fields_to_json
from protocol.hashing import to_hex


class BlockFact(TypedDict):
    object: str
    number: int
    hash: str
    parent_hash: str
    time: int
    canonical: bool
    level: str
    finality: str


def block_fact(row: BlockRow, status: MirrorStatus) -> BlockFact:
    return {
        "object": "block",
        "number": row.number,
        "hash": to_hex(row.hash),
        "parent_hash": to_hex(row.parent_hash),
        "time": row.time,
        "canonical": row.canonical,
        "level": status.level_of(row.number),
        "finality": status.finality_of(row.number),
    }


class TransactionFact(TypedDict):
    object: str
    hash: str
    block_number: int
    block_hash: str
    index: int
    #: null, like succeeded and gas_used, until the block's transactions are fetched
    sender: str | None
    to: str | None
    succeeded: bool | None
    gas_used: str | None
    function: str | None
    level: str
    finality: str


def transaction_fact(row: TransactionRow, status: MirrorStatus) -> TransactionFact:
    return {
        "object": "transaction",
        "hash": to_hex(row.hash),
        "block_number": row.block_number,
        "block_hash": to_hex(row.block_hash),
        "index": row.tx_index,
        "sender": row.sender,
        "to": row.to,
        "succeeded": None if row.status is None else row.status == 1,
        "gas_used": None if row.gas_used is None else str(row.gas_used),
        "function": row.function,
        "level": status.level_of(row.block_number),
        "finality": status.finality_of(row.block_number),
    }


class EventFact(TypedDict):
    """`canonical` is false where a reorg undid the event: shown, never counted."""

    object: str
    #: 1, 2, 3, … over the canonical history
    seq: int
    kind: str
    sentence: str
    args: dict[str, Any]
    block_number: int
    block_hash: str
    block_time: int
    transaction: str
    log_index: int
    canonical: bool
    level: str
    finality: str


def event_fact(row: EventRow, status: MirrorStatus) -> EventFact:
    kind, fields = decode_fields(row.topics, row.data)
    return {
        "object": "event",
        "seq": row.seq,
        "kind": row.kind,
        "sentence": told(kind, fields),
        "args": fields_to_json(kind, fields),
        "block_number": row.block_number,
        "block_hash": to_hex(row.block_hash),
        "block_time": row.block_time,
        "transaction": to_hex(row.tx_hash),
        "log_index": row.log_index,
        "canonical": row.canonical,
        "level": status.level_of(row.block_number),
        "finality": status.finality_of(row.block_number),
    }


class HitFact(TypedDict):
    object: str
    kind: str
    id: str
    path: str
    label: str
