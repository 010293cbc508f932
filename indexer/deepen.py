"""Light blocks become whole: what a backfill left out is fetched while there is nothing else to do, newest first."""

from sqlalchemy import delete, select, update
from sqlalchemy.engine import Connection

from indexer.bulk import insert_facts
from indexer.decoder import BlockFacts, derive
from indexer.errors import MisplacedLogs
from indexer.pool import Pool
from indexer.source import Contracts, Source
from indexer.tables import TABLES

#: blocks at a time: a new block waits for no more than these
MOST_BLOCKS = 8


def light_blocks(connection: Connection, most: int = MOST_BLOCKS) -> list[tuple[int, bytes]]:
    """Number and hash of the newest canonical light blocks, without a gap, in order."""
    blocks = TABLES["blocks"]
    query = select(blocks.c.number, blocks.c.hash).where(~blocks.c.whole, blocks.c.canonical)
    found = list(connection.execute(query.order_by(blocks.c.number.desc()).limit(most)).tuples())
    run = [row for place, row in enumerate(found) if row[0] == found[0][0] - place]
    return run[::-1]


def fetch_whole(source: Source | Pool, contracts: Contracts, wanted: list[tuple[int, bytes]]) -> list[BlockFacts]:
    """The wanted blocks, verified, as long as the node has these very ones. Raises what `Source.blocks` raises."""
    blocks = source.blocks(wanted[0][0], wanted[-1][0], None)
    same = [block for block, (_, block_hash) in zip(blocks, wanted, strict=False) if block.header.hash == block_hash]
    return [derive(block, contracts) for block in same]


def deepen(connection: Connection, facts: list[BlockFacts]) -> None:
    """Adds what the blocks lacked. Raises `MisplacedLogs` where a node had put a log elsewhere than it is."""
    blocks, transactions = TABLES["blocks"], TABLES["transactions"]
    for block in facts:
        block_hash = block.header.hash
        _require_places(connection, block)
        connection.execute(delete(transactions).where(transactions.c.block_hash == block_hash))
        connection.execute(update(blocks).where(blocks.c.hash == block_hash).values(whole=True, method=block.method))
    insert_facts(connection, "transactions", [row for block in facts for row in block.transactions])
    insert_facts(connection, "bodies", [block.body for block in facts if block.body is not None])


def _require_places(connection: Connection, block: BlockFacts) -> None:
    """The logs themselves are proved; which transactions they are of was only said."""
    events, transactions = TABLES["events"], TABLES["transactions"]
    here = events.c.block_number == block.header.number, events.c.block_hash == block.header.hash
    query = select(events.c.log_index, events.c.tx_index, events.c.topics, events.c.data).where(*here)
    stored = [tuple(row) for row in connection.execute(query.order_by(events.c.log_index))]
    hashes = dict(
        connection.execute(
            select(transactions.c.tx_index, transactions.c.hash).where(transactions.c.block_hash == block.header.hash)
        )
        .tuples()
        .all()
    )
    if stored != [(log.log_index, log.tx_index, log.topics, log.data) for log in block.logs] or hashes != {
        log.tx_index: log.tx_hash for log in block.logs
    }:
        raise MisplacedLogs(block.header.number)
