"""Blocks, what begins with some hex digits, and the offline proof of one log."""

from functools import cache
from typing import Any, Final

from sqlalchemy import Select, and_, bindparam, func, or_, select

from indexer.bundles.reading import stored_receipts
from indexer.prove import build_proof
from indexer.read.connected import Connected
from indexer.reading import SEARCHED, begins, block_row, hit
from indexer.rows import BlockRow, Hit, Total
from indexer.tables import TABLES

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
        values = {} if at_block is None else {"at_block": at_block}
        query = _blocks_query(at_block is not None)
        return [block_row(row) for row in self._page(query, (_BLOCKS.c.number,), limit, before, after, values)]

    def count_blocks(self, *, at_block: int | None = None) -> Total:
        """Exact: canonical blocks have no gap."""
        here = and_(_BLOCKS.c.canonical, *([] if at_block is None else [_BLOCKS.c.number <= at_block]))
        with self._read() as connection:
            first, last = connection.execute(
                select(func.min(_BLOCKS.c.number), func.max(_BLOCKS.c.number)).where(here)
            ).one()
        return Total(count=0 if last is None else last - first + 1, estimate=False)

    def hashes(self, numbers: set[int]) -> dict[int, bytes]:
        """Of the canonical blocks among them: one, or the two ends of a page."""
        rows = self._all(_hashes_query(), {"first": min(numbers), "last": max(numbers)})
        return {row["number"]: row["hash"] for row in rows}

    def is_canonical(self, block_hash: bytes) -> bool:
        """Whether a block is stored and part of the chain as it is now."""
        return any(row["canonical"] for row in self._all(_standing_query(), {"hash": block_hash}))

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
            return build_proof(connection, tx_hash, log_index, lambda header: stored_receipts(connection, header))


@cache
def _blocks_query(has_end: bool) -> Select[Any]:
    query = select(_BLOCKS).where(_BLOCKS.c.canonical)
    return query.where(_BLOCKS.c.number <= bindparam("at_block")) if has_end else query


@cache
def _hashes_query() -> Select[Any]:
    numbers = or_(_BLOCKS.c.number == bindparam("first"), _BLOCKS.c.number == bindparam("last"))
    return select(_BLOCKS.c.number, _BLOCKS.c.hash).where(numbers, _BLOCKS.c.canonical)


@cache
def _standing_query() -> Select[Any]:
    return select(_BLOCKS.c.canonical).where(_BLOCKS.c.hash == bindparam("hash"))
