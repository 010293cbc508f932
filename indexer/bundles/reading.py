"""What bundles need of the mirror's tables. All SQL of this package is here."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.engine import Connection

from indexer.bodies import unpack
from indexer.bundles.errors import NoSuchBlock
from indexer.errors import LightBlock, MirrorMissing
from indexer.tables import TABLES
from protocol.events import LedgerHead
from protocol.proofs import Header

#: rows of events that are in memory at once
_BATCH_ROWS: Final = 1000


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A canonical block of the mirror."""

    number: int
    hash: bytes
    #: unix seconds
    time: int
    header_rlp: bytes
    #: the ledger's head after it
    head: LedgerHead


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A raw log of the ledger on the canonical chain."""

    block_number: int
    block_time: int
    topics: list[bytes]
    data: bytes


def ledger_of(connection: Connection) -> tuple[bytes, int]:
    """The ledger that the mirror is of, 20 bytes, and the block of its deployment."""
    chains = TABLES["chains"]
    row = connection.execute(select(chains.c.ledger, chains.c.deploy_block)).one_or_none()
    if row is None:
        raise MirrorMissing(str(connection.engine.url))
    return row[0], row[1]


def block_at(connection: Connection, number: int | None) -> StoredBlock:
    """The canonical block of a number, or the newest; raises `NoSuchBlock`."""
    blocks = TABLES["blocks"]
    query = select(blocks.c.number, blocks.c.hash, blocks.c.time, blocks.c.header_rlp, blocks.c.head_slot)
    query = query.where(blocks.c.canonical)
    if number is None:
        row = connection.execute(query.order_by(blocks.c.number.desc()).limit(1)).one_or_none()
    else:
        row = connection.execute(query.where(blocks.c.number == number)).one_or_none()
    if row is None:
        if number is None:
            raise MirrorMissing(str(connection.engine.url))
        first, last = connection.execute(
            select(func.min(blocks.c.number), func.max(blocks.c.number)).where(blocks.c.canonical)
        ).one()
        raise NoSuchBlock(number, first or 0, last or 0)
    return StoredBlock(row[0], row[1], row[2], row[3], LedgerHead.from_slot(int.from_bytes(row[4], "big")))


def stored_receipts(connection: Connection, header: Header) -> list[bytes]:
    """All transaction receipts of a canonical block that may hold a log of ours; raises `LightBlock` without them."""
    bodies = TABLES["bodies"]
    packed = connection.execute(select(bodies.c.receipts).where(bodies.c.block_hash == header.hash)).scalar()
    if packed is None:
        raise LightBlock(header.number)
    return list(unpack(packed))


def events_between(connection: Connection, first: int, last: int) -> Iterator[StoredEvent]:
    """The ledger's raw logs of blocks first … last, Skipped ones included, in order, a batch of rows at a time."""
    events, blocks = TABLES["events"], TABLES["blocks"]
    query = (
        select(blocks.c.number, blocks.c.time, events.c.topics, events.c.data)
        .join_from(events, blocks, blocks.c.hash == events.c.block_hash)
        .where(blocks.c.canonical, events.c.block_number >= first, events.c.block_number <= last)
        .order_by(events.c.block_number, events.c.log_index)
    )
    for number, time, topics, data in connection.execution_options(yield_per=_BATCH_ROWS).execute(query):
        yield StoredEvent(number, time, [topics[at : at + 32] for at in range(0, len(topics), 32)], data)
