"""The offline proof of one event, from what the mirror stores where it holds the block whole."""

from collections.abc import Callable
from typing import TypeAlias

from sqlalchemy import and_, select
from sqlalchemy.engine import Connection

from indexer.tables import TABLES
from protocol.bundle import write_event
from protocol.errors import MirrorError
from protocol.hashing import to_hex
from protocol.proofs import Header, parse_header, parse_receipt
from protocol.tries import ordered_path

ReceiptsOf: TypeAlias = Callable[[Header], list[bytes]]


class NoSuchLog(MirrorError):
    """The canonical chain has no such log of the ledger."""

    code = "no_such_log"

    def __init__(self, tx_hash: bytes, log_index: int) -> None:
        super().__init__(
            f"transaction {to_hex(tx_hash)} has no log {log_index} of the ledger in the mirror; "
            "log indexes count over the block: `gridlease indexer status` says how far the mirror is"
        )


def build_proof(connection: Connection, tx_hash: bytes, log_index: int, receipts_of: ReceiptsOf) -> bytes:
    """The canonical proof.json of a log; `receipts_of` says a block's receipts. Raises `NoSuchLog`."""
    events, transactions, blocks = (TABLES[name] for name in ("events", "transactions", "blocks"))
    query = (
        select(events.c.tx_index, blocks.c.header_rlp)
        .join_from(
            events,
            transactions,
            and_(transactions.c.block_hash == events.c.block_hash, transactions.c.tx_index == events.c.tx_index),
        )
        .join(blocks, blocks.c.hash == events.c.block_hash)
        .where(transactions.c.hash == tx_hash, events.c.log_index == log_index, blocks.c.canonical)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NoSuchLog(tx_hash, log_index)
    tx_index, header_rlp = row
    receipts = receipts_of(parse_header(header_rlp))
    before = sum(len(parse_receipt(receipt).logs) for receipt in receipts[:tx_index])
    return write_event(header_rlp, tx_index, ordered_path(receipts, tx_index), log_index - before)
