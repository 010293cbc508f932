"""The ledger head against the chain: one storage proof says that the mirror holds every event, and no other."""

from sqlalchemy import Engine, delete, insert, select
from sqlalchemy.engine import Connection

from indexer.bundles.state import storage_paths
from indexer.commit import CursorRow, move_cursor
from indexer.errors import HeadMismatch
from indexer.source import Contracts
from indexer.tables import TABLES
from protocol.events import HEAD_SLOT, LedgerHead
from protocol.proofs import parse_header, verify_storage
from protocol.rpc import Rpc


def prove_head(rpc: Rpc, ledger: bytes, header_rlp: bytes) -> LedgerHead:
    """The contract's head at a block, proved against the state root in the block's own header.

    Raises `BadProof` when the node's answer proves nothing, and what `Rpc` raises.
    """
    header = parse_header(header_rlp)
    account, (storage,) = storage_paths(rpc, ledger, [HEAD_SLOT], header.hash)
    return LedgerHead.from_slot(verify_storage(header.state_root, ledger, HEAD_SLOT, account, storage))


def head_changed(connection: Connection, since: int, cursor: CursorRow) -> bool:
    """Whether an event was added after block `since`."""
    blocks = TABLES["blocks"]
    query = select(blocks.c.head_slot).where(blocks.c.number == since, blocks.c.canonical)
    return connection.execute(query).scalar_one_or_none() != slot_bytes(cursor.head)


def check_head(engine: Engine, rpc: Rpc, contracts: Contracts, cursor: CursorRow, seen_time: int) -> None:
    """Proves the head at the cursor and writes the audit; raises `HeadMismatch` when it is another."""
    blocks = TABLES["blocks"]
    with engine.connect() as connection:
        header_rlp: bytes = connection.execute(
            select(blocks.c.header_rlp).where(blocks.c.hash == cursor.hash)
        ).scalar_one()
    proved = prove_head(rpc, contracts.ledger, header_rlp)
    holds = proved == cursor.head
    with engine.begin() as connection:
        if holds:
            move_cursor(connection, cursor.hash, proved_number=cursor.number)
        write_audit(connection, cursor, proved, seen_time)
    if not holds:
        raise HeadMismatch(cursor.number or 0, spell_head(proved), spell_head(cursor.head))


def write_audit(connection: Connection, cursor: CursorRow, proved: LedgerHead, seen_time: int) -> None:
    """What a storage proof at the cursor showed; an audit of the same block is replaced."""
    audits = TABLES["audits"]
    connection.execute(delete(audits).where(audits.c.block_hash == cursor.hash))
    connection.execute(
        insert(audits).values(
            block_hash=cursor.hash,
            block_number=cursor.number,
            expected_slot=slot_bytes(cursor.head),
            proved_slot=slot_bytes(proved),
            holds=proved == cursor.head,
            seen_time=seen_time,
        )
    )


def slot_bytes(head: LedgerHead) -> bytes:
    return head.to_slot().to_bytes(32, "big")


def spell_head(head: LedgerHead) -> str:
    """Hash and count, for people."""
    return f"0x{head.hash:052x} after {head.count} events"
