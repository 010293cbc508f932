"""Makes bundles: headers and receipts from the mirror, storage paths from a node that nobody has to trust.

Each bundle is verified before it is given out, so a node that lies makes an error and no file.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.engine import Connection

from indexer.bundles.errors import BloomsIncomplete, RangeTooLong
from indexer.bundles.reading import StoredBlock, block_at, ledger_of, stored_receipts
from indexer.bundles.state import slot_nodes, storage_paths
from indexer.errors import LightBlock
from indexer.prove import build_proof
from indexer.source import fetch_receipts
from indexer.store import open_reader
from protocol.bundle import verify, write_absence, write_history, write_lease
from protocol.bundle.lease import lease_slots, slots_needed
from protocol.bundle.state import mapping_word, shared_nodes
from protocol.events import HEAD_SLOT
from protocol.hashing import keccak256
from protocol.proofs import Header, bloom_may_hold, parse_header
from protocol.rpc import Rpc

MOST_ABSENT_BLOCKS: Final = 1024


class Bundles:
    """Bundles about the ledger of one mirror."""

    def __init__(self, mirror_url: str, rpc_url: str, *, complete_blooms: bool = True) -> None:
        """`complete_blooms`: as the deployment says of its chain."""
        self._mirror_url, self._rpc_url = mirror_url, rpc_url
        self._complete_blooms = complete_blooms

    def event(self, tx_hash: bytes, log_index: int) -> bytes:
        """Raises `NoSuchLog`. Asks no node but for a block that came without its receipts."""
        with self._read() as connection:
            return build_proof(connection, tx_hash, log_index, lambda header: self._receipts(connection, header))

    def lease(self, lease: bytes, block_number: int | None = None) -> bytes:
        """The lease at a block, or at the newest; one that does not exist is proved not to. Raises `NoSuchBlock`."""
        with self._read() as connection:
            ledger, _ = ledger_of(connection)
            block = block_at(connection, block_number)
        slots = lease_slots(lease)
        with Rpc(self._rpc_url) as rpc:
            account, storage = storage_paths(rpc, ledger, slots, block.hash)
        status = mapping_word(parse_header(block.header_rlp), ledger, slots[1], account, storage[1])
        nodes = shared_nodes(account, storage[: slots_needed(status)])
        return _checked(write_lease(block.header_rlp, ledger, lease, nodes), ledger, block)

    def absence(self, first: int, last: int) -> bytes:
        """That blocks first … last hold no log of the ledger. Asks a node as `event` does.

        Raises `BadProof` where one holds a log, `BloomsIncomplete`, `NoSuchBlock`, `RangeTooLong`.
        """
        if not self._complete_blooms:
            raise BloomsIncomplete
        if last - first >= MOST_ABSENT_BLOCKS:
            raise RangeTooLong(last - first + 1, MOST_ABSENT_BLOCKS)
        with self._read() as connection:
            ledger, _ = ledger_of(connection)
            blocks = [block_at(connection, number) for number in range(min(first, last), last + 1)]
            content = write_absence(
                ledger, [(block.header_rlp, self._needed(connection, ledger, block)) for block in blocks]
            )
        return _checked(content, ledger, blocks[-1])

    def history(self, first: int | None = None, last: int | None = None) -> bytes:
        """The head at block `last`, or at the newest; of blocks first … last, or of all. Raises `NoSuchBlock`."""
        with self._read() as connection:
            ledger, deploy_block = ledger_of(connection)
            until = block_at(connection, last)
            whole = first is None or first <= deploy_block
            after = None if whole or first is None else block_at(connection, first - 1)
        ends = [until] if after is None else [until, after]
        with Rpc(self._rpc_url) as rpc:
            proved = [(end.header_rlp, slot_nodes(rpc, ledger, HEAD_SLOT, end.hash)) for end in ends]
        return _checked(write_history(ledger, *proved), ledger, *ends)

    def _needed(self, connection: Connection, ledger: bytes, block: StoredBlock) -> list[bytes]:
        header = parse_header(block.header_rlp)
        return self._receipts(connection, header) if bloom_may_hold(header.logs_bloom, ledger) else []

    def _receipts(self, connection: Connection, header: Header) -> list[bytes]:
        """As stored, else as a node gives them, checked against the header. Raises `BadBlock` and what `Rpc` raises."""
        try:
            return stored_receipts(connection, header)
        except LightBlock:
            with Rpc(self._rpc_url) as rpc:
                return fetch_receipts(rpc, header)

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        engine = open_reader(self._mirror_url)
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()


def _checked(content: bytes, ledger: bytes, *ends: StoredBlock) -> bytes:
    verify(content, [keccak256(end.header_rlp) for end in ends], ledger)
    return content
