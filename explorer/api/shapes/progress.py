"""How far the mirror is, what it undid, how it was checked."""

from typing_extensions import TypedDict

from explorer.spelling import iso
from indexer.queries import AuditRow, Interval, MirrorStatus, ReorgRow, Stats
from protocol.hashing import to_hex


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
    last_kept_seq: int
    events_undone: int
    at: str


def reorg_fact(row: ReorgRow) -> ReorgFact:
    return {
        "object": "reorg",
        "epoch": row.epoch,
        "fork_block": row.fork_number,
        "old_head": to_hex(row.old_head),
        "new_head": to_hex(row.new_head),
        "depth": row.depth,
        "last_kept_seq": row.last_kept_seq,
        "events_undone": row.events_undone,
        "at": iso(row.at),
    }


class AuditFact(TypedDict):
    """A storage proof of the ledger's head: slot 0 as the mirror computed it and as the chain has it."""

    object: str
    block_number: int
    block_hash: str
    expected_slot: str
    proved_slot: str
    holds: bool
    at: str


def audit_fact(row: AuditRow) -> AuditFact:
    return {
        "object": "audit",
        "block_number": row.block_number,
        "block_hash": to_hex(row.block_hash),
        "expected_slot": to_hex(row.expected_slot),
        "proved_slot": to_hex(row.proved_slot),
        "holds": row.holds,
        "at": iso(row.at),
    }


class IntervalFact(TypedDict):
    """Blocks from first to last, both included, and how each was shown to hold no other event of the ledger."""

    object: str
    first_block: int
    last_block: int
    #: receipts: the block's receipts trie was rebuilt · bloom: its header rules any event of ours out
    method: str
    level: str


def interval_fact(row: Interval) -> IntervalFact:
    return {
        "object": "interval",
        "first_block": row.first_number,
        "last_block": row.last_number,
        "method": row.method,
        "level": row.level,
    }
