"""Events and the transactions that made them."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final, TypedDict, Unpack

from sqlalchemy import BigInteger, LargeBinary, Select, and_, bindparam, or_, select, tuple_

from indexer.read.connected import Connected
from indexer.reading import Cells, event_row, select_events, select_transactions, transaction_row
from indexer.rows import EventRow, Place, Total, TransactionRow
from indexer.tables import TABLES
from protocol.hashing import from_hex

_BLOCKS: Final = TABLES["blocks"]
_EVENTS: Final = TABLES["events"]
_PARTIES: Final = TABLES["parties"]
_TRANSACTIONS: Final = TABLES["transactions"]

Branched = tuple[int, int, bytes]
"""A place and its block: orphaned and canonical events can share a place."""


class EventsWanted(TypedDict, total=False):
    """Filters add up; `canonical` None gives orphaned ones too, but with an account; `at_block` those up to a block."""

    lease: bytes | None
    account: str | None
    tx_hash: bytes | None
    block_number: int | None
    kind: str | None
    canonical: bool | None
    at_block: int | None


class EventReads(Connected):
    """Events, transactions."""

    def events(
        self,
        *,
        limit: int = 50,
        before: Place | Branched | None = None,
        after: Place | Branched | None = None,
        **wanted: Unpack[EventsWanted],
    ) -> list[EventRow]:
        """Newest first; `before` and `after` are (block_number, log_index), with orphaned ones also block_hash."""
        query, values = select_wanted(wanted)
        if wanted.get("account") is not None:
            return [event_row(row) for row in self._by_seq(query, values, limit, before, after)]
        order: tuple[Any, ...] = (_EVENTS.c.block_number, _EVENTS.c.log_index)
        if wanted.get("canonical", True) is None:
            order = (*order, _EVENTS.c.block_hash)
        _, rows = self._page_rows(query, order, limit, before, after, values)
        return [EventRow(*row) for row in rows]

    def _by_seq(
        self, query: Select[Any], values: dict[str, Any], limit: int, before: Any, after: Any
    ) -> Sequence[Cells]:
        """A page of an account's events, by the index that starts with the account: by place it would be a sort."""
        with self._read():
            # Places and seqs of canonical events rise together.
            below = None if before is None else self._seq_until(before, inclusive=False) + 1
            above = None if after is None else self._seq_until(after, inclusive=True)
            return self._page(query, (_PARTIES.c.seq,), limit, below, above, values)

    def _seq_until(self, place: Any, *, inclusive: bool) -> int:
        """The seq of the last canonical event below a place, or at it; 0 if there is none."""
        rows = self._all(_seq_query(inclusive), {"number": place[0], "index": place[1]})
        return int(rows[0]["seq"]) if rows else 0

    def count_events(self, **wanted: Unpack[EventsWanted]) -> Total:
        query, values = select_wanted(wanted)
        return self._count(query, _EVENTS.c.block_number, values)

    def events_since(self, seq: int, *, limit: int = 200, **wanted: Unpack[EventsWanted]) -> list[EventRow]:
        """Canonical events after the one numbered `seq`, oldest first."""
        query, values = select_wanted(wanted)
        order = (_EVENTS.c.seq,) if wanted.get("account") is None else (_PARTIES.c.seq,)
        _, rows = self._page_rows(query, order, limit, None, seq, values)
        return [EventRow(*row) for row in reversed(rows)]

    def transaction(self, tx_hash: bytes) -> TransactionRow | None:
        """The canonical one; where there is none, an orphaned one."""
        row = self._first(
            select_transactions()
            .where(_TRANSACTIONS.c.hash == tx_hash)
            .order_by(_BLOCKS.c.canonical.desc(), _TRANSACTIONS.c.block_number.desc())
        )
        return None if row is None else transaction_row(row)

    def transactions(
        self,
        *,
        account: str | None = None,
        at_block: int | None = None,
        limit: int = 50,
        before: Place | None = None,
        after: Place | None = None,
    ) -> list[TransactionRow]:
        """Canonical, newest first; `before` and `after` are (block_number, tx_index)."""
        values = {"account": from_hex(account, 20) if account is not None else None, "at_block": at_block}
        given = {name: value for name, value in values.items() if value is not None}
        order = (_TRANSACTIONS.c.block_number, _TRANSACTIONS.c.tx_index)
        rows = self._page(_transactions_by(frozenset(given)), order, limit, before, after, given)
        return [transaction_row(row) for row in rows]

    def account_transactions(self, address: str, limit: int = 50, before: Place | None = None) -> list[TransactionRow]:
        """Sent by it, to it, or with an event that concerns it."""
        return self.transactions(account=address, limit=limit, before=before)


@cache
def _transactions_by(names: frozenset[str]) -> Select[Any]:
    query = select_transactions().where(_BLOCKS.c.canonical)
    if "account" in names:
        query = query.where(_touched())
    return query.where(_TRANSACTIONS.c.block_number <= bindparam("at_block")) if "at_block" in names else query


def _touched() -> Any:
    """Transactions sent by the account, to it, or with an event that concerns it."""
    account = bindparam("account", type_=LargeBinary())
    concerns = (
        select(_EVENTS.c.block_hash, _EVENTS.c.tx_index)
        .join(_PARTIES, and_(_PARTIES.c.seq == _EVENTS.c.seq, _EVENTS.c.canonical))
        .where(_PARTIES.c.account == account)
    )
    return or_(
        _TRANSACTIONS.c.sender == account,
        _TRANSACTIONS.c.recipient == account,
        tuple_(_TRANSACTIONS.c.block_hash, _TRANSACTIONS.c.tx_index).in_(concerns),
    )


def select_wanted(wanted: EventsWanted) -> tuple[Select[Any], dict[str, Any]]:
    """The statement for these filters, and its values."""
    account = wanted.get("account")
    values = {
        "lease": wanted.get("lease"),
        "account": from_hex(account, 20) if account is not None else None,
        "tx_hash": wanted.get("tx_hash"),
        "block_number": wanted.get("block_number"),
        "kind": wanted.get("kind"),
        "canonical": wanted.get("canonical", True),
        "at_block": wanted.get("at_block"),
    }
    given = {name: value for name, value in values.items() if value is not None}
    return _events_by(frozenset(given)), given


@cache
def _events_by(names: frozenset[str]) -> Select[Any]:
    conditions = {
        "lease": _EVENTS.c.lease == bindparam("lease"),
        "account": _PARTIES.c.account == bindparam("account"),
        "tx_hash": _TRANSACTIONS.c.hash == bindparam("tx_hash"),
        "block_number": _EVENTS.c.block_number == bindparam("block_number"),
        "kind": _EVENTS.c.kind == bindparam("kind"),
        "canonical": _EVENTS.c.canonical == bindparam("canonical"),
        "at_block": _EVENTS.c.block_number <= bindparam("at_block"),
    }
    query = select_events()
    if "account" in names:
        query = query.join(_PARTIES, and_(_PARTIES.c.seq == _EVENTS.c.seq, _EVENTS.c.canonical))
    return query.where(*[conditions[name] for name in sorted(names)])


@cache
def _seq_query(inclusive: bool) -> Select[Any]:
    place = tuple_(_EVENTS.c.block_number, _EVENTS.c.log_index)
    given = tuple_(bindparam("number", type_=BigInteger()), bindparam("index", type_=BigInteger()))
    return (
        select(_EVENTS.c.seq)
        .where(place <= given if inclusive else place < given, _EVENTS.c.canonical)
        .order_by(_EVENTS.c.block_number.desc(), _EVENTS.c.log_index.desc())
        .limit(1)
    )
