"""The ledger's raw events as NDJSON, streamed: what `gridlease verify history.json --events FILE` compares.

Skipped ones are left out, because no head holds them. The mirror's own head is replayed on the way, so a damaged
mirror exports nothing that looks whole.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy.engine import Connection

from indexer.bundles.errors import DamagedMirror
from indexer.bundles.reading import block_at, events_between, ledger_of
from protocol.bundle.block import ProvedBlock
from protocol.bundle.history import export_line, export_trailer
from protocol.events import SKIPPED_TOPIC, LedgerHead, event_hash


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    count: int
    #: 0: from the ledger's first
    first_block: int
    last_block: ProvedBlock


def export_events(
    connection: Connection, write: Callable[[bytes], object], first: int | None = None, last: int | None = None
) -> Exported:
    """Writes the events of blocks first … last (or of all), one line each, and the last line that counts them.

    Raises `NoSuchBlock`, and `DamagedMirror` before that last line, without which no verifier takes the file.
    """
    _, deploy_block = ledger_of(connection)
    until = block_at(connection, last)
    whole = first is None or first <= deploy_block
    head = LedgerHead() if whole or first is None else block_at(connection, first - 1).head
    start, digest, from_block = head.count, sha256(), 0 if whole or first is None else first
    for event in events_between(connection, from_block, until.number):
        if event.topics[:1] == [SKIPPED_TOPIC]:
            continue
        head = head.advance(event.block_number, event.block_time, event_hash(event.topics, event.data))
        line = export_line(head.count, event.block_number, event.block_time, event.topics, event.data) + b"\n"
        digest.update(line)
        write(line)
    if head != until.head:
        raise DamagedMirror(until.number)
    last_block = ProvedBlock(until.number, until.hash, until.time)
    write(export_trailer(head.count - start, from_block, last_block, digest.digest()) + b"\n")
    return Exported(head.count - start, from_block, last_block)
