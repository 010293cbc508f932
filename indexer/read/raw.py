"""What the chain said, byte by byte: logs as they were emitted, whole transactions and blocks, blocks by their time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any, Final, Literal, TypedDict

from sqlalchemy import BigInteger, Integer, LargeBinary, Select, and_, bindparam, func, or_, select, tuple_

from indexer.bodies import unpack
from indexer.read.connected import Connected
from indexer.reading import Cells, select_events, select_transactions
from indexer.rows import LogRow, Place, WholeBlock, WholeTransaction
from indexer.tables import TABLES
from indexer.whole import StoredBody
from protocol.events import EVENTS, TOPICS
from protocol.hashing import Address, from_hex
from protocol.proofs import EMPTY_ROOT

_BLOCKS: Final = TABLES["blocks"]
_BODIES: Final = TABLES["bodies"]
_EVENTS: Final = TABLES["events"]
_TRANSACTIONS: Final = TABLES["transactions"]
#: events whose first field is a lease
_OF_LEASES: Final = frozenset([kind.__name__ for kind in EVENTS if next(iter(kind.TYPES)) == "lease"])
#: an event's name → its first topic
_HEADS: Final = {kind.__name__: topic for topic, kind in TOPICS.items()}
#: events that are sorted at once
_FEW: Final = 2000
#: bodies that are in memory at once
_BODIES_AT_ONCE: Final = 100

Topic = tuple[int, bytes]
"""A topic's place, 0 to 3, and its 32 bytes."""


class LogsWanted(TypedDict, total=False):
    """Filters add up."""

    #: event names, of which it is one
    kinds: tuple[str, ...]
    #: one topic at least of each of these must be as said
    topics: Sequence[Sequence[Topic]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which part of a list: the blocks, the way, and where to begin."""

    first_block: int
    last_block: int
    newest_first: bool
    limit: int
    #: rows that are passed over
    skip: int = 0
    #: (block number, index in the block) after which to go on
    place: Place | None = None
    #: of raw transactions and receipts that the rows may come from
    most_bytes: int = 1 << 30


class TooMuch(Exception):
    """The rows are larger than the window allows; ask for fewer."""


class RawReads(Connected):
    """Canonical only."""

    def logs(self, window: Window, wanted: LogsWanted) -> list[LogRow]:
        """Events of the ledger, with the transactions that made them; raises `TooMuch`."""
        kinds, groups = _named(wanted)
        values: dict[str, Any] = {}
        if kinds is not None:
            values = {"kinds": sorted(kinds)} if self._are_few(kinds) else {"heads": [_HEADS[kind] for kind in kinds]}
        for number, group in enumerate(groups):
            values |= {f"topic_{number}_{place}": topic for place, topic in group}
        lease = _lease_among(kinds, groups)
        if lease is not None:
            values["lease"] = lease
        shape = tuple([tuple([place for place, _ in group]) for group in groups])
        query = _logs_query(shape, frozenset(values) & {"kinds", "heads", "lease"})
        rows = self._window(query, (_EVENTS.c.block_number, _EVENTS.c.log_index), window, values)
        whole = self._whole([(row["block_hash"], row["tx_index"]) for row in rows], window.most_bytes)
        return [_log_row(row, whole.get((row["block_hash"], row["tx_index"]))) for row in rows]

    def _are_few(self, kinds: frozenset[str]) -> bool:
        """Whether it is quicker to find and sort all of them than to walk along the chain past others."""
        return len(self._all(_few_query(), {"kinds": sorted(kinds)})) < _FEW

    def transactions_of(self, account: Address, window: Window) -> list[WholeTransaction]:
        """Sent by it, or to it; of those that reached the ledger or its token. Raises `TooMuch`."""
        order = (_TRANSACTIONS.c.block_number, _TRANSACTIONS.c.tx_index)
        rows = self._window(_sent_query(), order, window, {"account": from_hex(account, 20)})
        places = [(row["block_hash"], row["tx_index"]) for row in rows]
        whole = self._whole(places, window.most_bytes)
        return [whole[place] for place in places if place in whole]

    def whole_transaction(self, tx_hash: bytes) -> WholeTransaction | None:
        """One that reached the ledger or its token, if a canonical block holds it."""
        query = select_transactions().where(_TRANSACTIONS.c.hash == tx_hash, _BLOCKS.c.canonical)
        row = self._first(query)
        if row is None:
            return None
        place = (row["block_hash"], row["tx_index"])
        return self._whole([place]).get(place)

    def whole_block(self, number: int) -> WholeBlock | None:
        """With all its transactions where the mirror keeps them, or where there are none."""
        here = and_(_BLOCKS.c.number == number, _BLOCKS.c.canonical)
        row = self._first(_bodies_query(required=False).where(here))
        if row is None:
            return None
        body = _body(row)
        empty = body.header["transactionsRoot"] == EMPTY_ROOT
        known = len(body.transactions) if body.is_whole else 0
        each = tuple([body.transaction(place) for place in range(known)])
        return WholeBlock(hash=body.hash, header=body.header, transactions=each if known or empty else None)

    def block_at_time(self, time: int, closest: Literal["before", "after"]) -> int | None:
        """The newest block not after a unix second, or the oldest not before it; None where the mirror has none such.

        Canonical blocks have no gap and their times never fall, so twenty looks find one of a million.
        """
        with self._read():
            low, high = self._ends()
            first, last = low, high
            # `low` becomes the first block that is later than the time (before), or not earlier (after).
            while low <= high:
                middle = (low + high) // 2
                stands = self._time_of(middle)
                if stands > time or (closest == "after" and stands == time):
                    high = middle - 1
                else:
                    low = middle + 1
        found = low - 1 if closest == "before" else low
        return found if first <= found <= last else None

    def _ends(self) -> tuple[int, int]:
        row = self._all(select(func.min(_BLOCKS.c.number), func.max(_BLOCKS.c.number)).where(_BLOCKS.c.canonical))[0]
        first, last = row.values()
        return (0, -1) if first is None else (first, last)

    def _time_of(self, number: int) -> int:
        time: int = self._all(_time_query(), {"number": number})[0]["time"]
        return time

    def _window(
        self, query: Select[Any], order: tuple[Any, Any], window: Window, values: dict[str, Any]
    ) -> list[Cells]:
        window = _narrowed(window)
        bound = {"first": window.first_block, "last": window.last_block, "limit": window.limit, "skip": window.skip}
        if window.place is not None:
            bound |= {"place_0": window.place[0], "place_1": window.place[1]}
        statement = _windowed(query, order, window.newest_first, window.place is not None)
        return self._all(statement, {**values, **bound})

    def _whole(
        self, places: Iterable[tuple[bytes, int]], most_bytes: int | None = None
    ) -> dict[tuple[bytes, int], WholeTransaction]:
        """The transactions at these places of blocks that are stored whole."""
        wanted: dict[bytes, set[int]] = {}
        for block_hash, tx_index in places:
            wanted.setdefault(block_hash, set()).add(tx_index)
        hashes = list(wanted)
        found: dict[tuple[bytes, int], WholeTransaction] = {}
        size = 0
        for start in range(0, len(hashes), _BODIES_AT_ONCE):
            some = hashes[start : start + _BODIES_AT_ONCE]
            for row in self._all(_bodies_query(required=True).where(_BLOCKS.c.hash.in_(some))):
                body = _body(row)
                if not body.is_whole:
                    continue
                size += sum([body.size(index) for index in wanted[body.hash]])
                if most_bytes is not None and size > most_bytes:
                    raise TooMuch
                found |= {(body.hash, index): body.transaction(index) for index in wanted[body.hash]}
        return found


def _narrowed(window: Window) -> Window:
    """The same rows: where a list goes on from a place, an index begins there too."""
    if window.place is None:
        return window
    if window.newest_first:
        return replace(window, last_block=min(window.last_block, window.place[0]))
    return replace(window, first_block=max(window.first_block, window.place[0]))


def _body(row: Cells) -> StoredBody:
    return StoredBody(
        number=row["number"],
        hash=row["hash"],
        time=row["time"],
        header_rlp=row["header_rlp"],
        transactions=() if row["transactions"] is None else unpack(row["transactions"]),
        receipts=() if row["receipts"] is None else unpack(row["receipts"]),
    )


def _log_row(row: Cells, transaction: WholeTransaction | None) -> LogRow:
    topics = row["topics"]
    return LogRow(
        kind=row["kind"],
        topics=tuple([topics[at : at + 32] for at in range(0, len(topics), 32)]),
        data=row["data"],
        block_number=row["block_number"],
        block_hash=row["block_hash"],
        block_time=row["block_time"],
        tx_hash=row["tx_hash"],
        tx_index=row["tx_index"],
        log_index=row["log_index"],
        transaction=transaction,
    )


def _named(wanted: LogsWanted) -> tuple[frozenset[str] | None, list[tuple[Topic, ...]]]:
    """Events by name, which an index finds, and what is left to look for: a known first topic is its event's name."""
    names: frozenset[str] | None = frozenset(wanted["kinds"]) if "kinds" in wanted else None
    left = []
    for group in wanted.get("topics", ()):
        kinds = [TOPICS.get(topic) for place, topic in group if place == 0]
        if len(kinds) == len(group) and None not in kinds:
            found = frozenset([kind.__name__ for kind in kinds if kind is not None])
            names = found if names is None else names & found
        else:
            left.append(tuple(group))
    return names, left


def _lease_among(kinds: frozenset[str] | None, groups: Sequence[tuple[Topic, ...]]) -> bytes | None:
    """The lease that all wanted events must speak of: again something that an index finds."""
    if kinds is None or not kinds <= _OF_LEASES:
        return None
    return next((group[0][1] for group in groups if len(group) == 1 and group[0][0] == 1), None)


@lru_cache(maxsize=256)
def _logs_query(shape: tuple[tuple[int, ...], ...], by: frozenset[str]) -> Select[Any]:
    conditions = [
        or_(*[_topic(place) == bindparam(f"topic_{number}_{place}", type_=LargeBinary()) for place in group])
        for number, group in enumerate(shape)
    ]
    if "kinds" in by:
        conditions.append(_EVENTS.c.kind.in_(bindparam("kinds", expanding=True)))
    if "heads" in by:
        # The same by an expression that no index knows, for a planner without statistics takes every index it finds.
        conditions.append(_topic(0).in_(bindparam("heads", expanding=True, type_=LargeBinary())))
    if "lease" in by:
        conditions.append(_EVENTS.c.lease == bindparam("lease"))
    return select_events(_EVENTS.c.tx_index).where(_EVENTS.c.canonical, _between(_EVENTS), *conditions)


@cache
def _few_query() -> Select[Any]:
    return select(_EVENTS.c.kind).where(_EVENTS.c.kind.in_(bindparam("kinds", expanding=True))).limit(_FEW)


def _topic(place: int) -> Any:
    """A topic's bytes; empty where the event has fewer."""
    return func.substr(_EVENTS.c.topics, 32 * place + 1, 32)


@cache
def _sent_query() -> Select[Any]:
    account = bindparam("account", type_=LargeBinary())
    party = or_(_TRANSACTIONS.c.sender == account, _TRANSACTIONS.c.recipient == account)
    return select_transactions().where(_BLOCKS.c.canonical, _between(_TRANSACTIONS), party)


def _between(table: Any) -> Any:
    first, last = bindparam("first", type_=BigInteger()), bindparam("last", type_=BigInteger())
    return and_(table.c.block_number >= first, table.c.block_number <= last)


@lru_cache(maxsize=256)
def _windowed(query: Select[Any], order: tuple[Any, Any], newest_first: bool, from_place: bool) -> Select[Any]:
    if from_place:
        place = tuple_(*[bindparam(f"place_{i}", type_=BigInteger()) for i in range(2)])
        query = query.where(tuple_(*order) < place if newest_first else tuple_(*order) > place)
    ordered = query.order_by(*[column.desc() if newest_first else column for column in order])
    return ordered.limit(bindparam("limit", type_=Integer())).offset(bindparam("skip", type_=Integer()))


@cache
def _bodies_query(*, required: bool) -> Select[Any]:
    """Blocks with their bodies, of which most blocks have none."""
    return select(
        _BLOCKS.c.number,
        _BLOCKS.c.hash,
        _BLOCKS.c.time,
        _BLOCKS.c.header_rlp,
        _BODIES.c.transactions,
        _BODIES.c.receipts,
    ).join_from(_BLOCKS, _BODIES, _BODIES.c.block_hash == _BLOCKS.c.hash, isouter=not required)


@cache
def _time_query() -> Select[Any]:
    return select(_BLOCKS.c.time).where(_BLOCKS.c.number == bindparam("number"), _BLOCKS.c.canonical)
