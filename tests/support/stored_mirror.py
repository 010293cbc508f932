"""A real mirror, made of histories without a node."""

import random
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Engine

from indexer.commit import CursorRow, commit_blocks, initialise, move_cursor, read_cursor
from indexer.queries import Mirror
from indexer.rollback import roll_back
from indexer.source import NodeHead, VerifiedBlock
from indexer.store import migrate, open_writer
from protocol.deployment import Deployment
from protocol.events import LedgerEvent
from protocol.hashing import checksum_address, to_hex
from tests.support.databases import SQLITE, Database
from tests.support.fake_chain import CONTRACTS, RandomLedger, make_block

DEPLOYMENT = Deployment(
    chain_id=1,
    ledger=checksum_address(CONTRACTS.ledger),
    token=checksum_address(CONTRACTS.token),
    registry=checksum_address(CONTRACTS.token),
    court=checksum_address(CONTRACTS.token),
    deploy_block=1,
    genesis_hash=to_hex(bytes(32)),
    min_notice=10,
    abi_hash="",
)


class StoredMirror:
    """`mirror` reads what `grow` and `replace` write."""

    def __init__(self, folder: Path, database: Database = SQLITE) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        url = database.mirror_url(folder)
        self.engine: Engine = open_writer(url)
        migrate(self.engine)
        with self.engine.begin() as connection:
            initialise(connection, DEPLOYMENT)
        self.mirror = Mirror(url)
        self.blocks: list[VerifiedBlock] = []

    def grow(self, blocks_of_events: Sequence[Sequence[LedgerEvent]], salt: bytes = b"") -> CursorRow:
        """One more block for each list of events."""
        for events in blocks_of_events:
            parent = self.blocks[-1].header.hash if self.blocks else bytes(32)
            self.blocks.append(make_block(len(self.blocks) + 1, parent, list(events), salt))
        new = self.blocks[-len(blocks_of_events) :] if blocks_of_events else []
        return self._commit(new)

    def take(self, blocks: Sequence[VerifiedBlock]) -> None:
        """Blocks as another mirror has them."""
        self.blocks += blocks
        self._commit(blocks)

    def _commit(self, new: Sequence[VerifiedBlock]) -> CursorRow:
        with self.engine.begin() as connection:
            return commit_blocks(connection, read_cursor(connection), list(new), CONTRACTS, 0)

    def replace(self, ancestor: int, blocks_of_events: Sequence[Sequence[LedgerEvent]], salt: bytes = b"fork") -> None:
        """A reorg: what is above `ancestor` is undone, other blocks come instead."""
        with self.engine.begin() as connection:
            roll_back(connection, read_cursor(connection), ancestor, NodeHead(99, b"x" * 32, 0), 1_700_000_000)
        del self.blocks[ancestor:]
        self.grow(blocks_of_events, salt)

    def settle(self, *, proved: int | None = None, finalised: int | None = None, halted: str | None = None) -> None:
        """What proofs and the node's tags would say."""
        values = {"proved_number": proved, "finalized_number": finalised, "halted": halted}
        with self.engine.begin() as connection:
            cursor = read_cursor(connection)
            move_cursor(connection, cursor.hash, **{name: value for name, value in values.items() if value is not None})

    def close(self) -> None:
        self.mirror.close()
        self.engine.dispose()


def random_events(seed: int, sizes: Sequence[int]) -> list[list[LedgerEvent]]:
    """Blocks with so many events each, of one ledger's history."""
    ledger = RandomLedger(random.Random(seed))
    return [[ledger.next() for _ in range(size)] for size in sizes]
