"""Blocks, what begins with some hex digits, and the offline proof of one log."""

from typing import Final

from sqlalchemy import and_, func, select

from indexer.commit import TABLES
from indexer.prove import build_proof
from indexer.read.connected import Connected
from indexer.reading import SEARCHED, begins, block_row, hit
from indexer.rows import BlockRow, Hit, Total

_BLOCKS: Final = TABLES["blocks"]
_SEARCH_LIMIT: Final = 8


class BlockReads(Connected):
    """Blocks, search, proofs."""

    def block(self, number_or_hash: int | bytes) -> BlockRow | None:
        """By number the canonical one; by hash also one that was orphaned."""
        if isinstance(number_or_hash, int):
            here = and_(_BLOCKS.c.number == number_or_hash, _BLOCKS.c.canonical)
        else:
            here = _BLOCKS.c.hash == number_or_hash
        row = self._first(select(_BLOCKS).where(here))
        return None if row is None else block_row(row)

    def blocks(
        self, limit: int = 50, before: int | None = None, after: int | None = None, *, at_block: int | None = None
    ) -> list[BlockRow]:
        """Canonical, newest first; `before` and `after` are block numbers."""
        query = select(_BLOCKS).where(_BLOCKS.c.canonical)
        if at_block is not None:
            query = query.where(_BLOCKS.c.number <= at_block)
        return [block_row(row) for row in self._page(query, (_BLOCKS.c.number,), limit, before, after)]

    def count_blocks(self, *, at_block: int | None = None) -> Total:
        """Exact: canonical blocks have no gap."""
        here = and_(_BLOCKS.c.canonical, *([] if at_block is None else [_BLOCKS.c.number <= at_block]))
        with self._read() as connection:
            first, last = connection.execute(
                select(func.min(_BLOCKS.c.number), func.max(_BLOCKS.c.number)).where(here)
            ).one()
        return Total(count=0 if last is None else last - first + 1, estimate=False)

    def hashes(self, numbers: set[int]) -> dict[int, bytes]:
        """Of the canonical blocks among them."""
        query = select(_BLOCKS.c.number, _BLOCKS.c.hash).where(_BLOCKS.c.number.in_(numbers), _BLOCKS.c.canonical)
        return {row["number"]: row["hash"] for row in self._all(query)}

    def is_canonical(self, block_hash: bytes) -> bool:
        """Whether a block is stored and part of the chain as it is now."""
        with self._read() as connection:
            found = connection.execute(select(_BLOCKS.c.canonical).where(_BLOCKS.c.hash == block_hash)).scalar()
        return bool(found)

    def search(self, text: str) -> list[Hit]:
        """What begins with these hex digits: leases, transactions, blocks, jobs, accounts."""
        digits = text.strip().lower().removeprefix("0x")
        if not digits or len(digits) > 64 or not set(digits) <= set("0123456789abcdef"):
            return []
        hits: list[Hit] = []
        with self._read() as connection:
            for kind, column in SEARCHED:
                query = select(column).where(begins(column, digits)).distinct().limit(_SEARCH_LIMIT)
                hits += [hit(kind, value) for value in connection.execute(query).scalars()]
        return hits

    def proof(self, tx_hash: bytes, log_index: int) -> bytes:
        """The canonical proof.json of one log of the ledger, from what is stored; raises `NoSuchLog`."""
        with self._read() as connection:
            return build_proof(connection, tx_hash, log_index)
