"""Light blocks → a span, and back to their events in order: by kind and column by column in between. Pure.

`indexer.decoded.decode` says the same of a few blocks, event by event.
"""

from collections.abc import Iterable
from itertools import repeat
from typing import Any, Final

import numpy as np

from indexer.backfill.columns import Column, list_column, read_columns, spell_column
from indexer.backfill.light import LightBlock, LightLog
from indexer.backfill.spans import KindEvents, Span, SpanBlock
from indexer.decoded import OF_LEASE, OPENED, DecodedBlock, EventAt, Facts
from indexer.layout import Layout
from indexer.packing import Cells, pack_batches
from protocol.events import EVENTS, LeaseOpened, LedgerHead, Skipped, kind_of
from protocol.proofs import Header, parse_header

#: by table, rows column by column, in batches
_Batches = dict[str, list[list[Cells]]]

_DEADLINE: Final = list(LeaseOpened.TYPES).index("deadline")
_SKIPPED: Final = EVENTS.index(Skipped)
#: columns of `transactions` that nobody knows yet
_UNKNOWN_CELLS: Final = 6


class _Places:
    """Where the logs of some blocks are, in columns over all of them."""

    def __init__(self, headers: list[Header], blocks: list[LightBlock]) -> None:
        counts = [len(block.logs) for block in blocks]
        self.block = np.repeat(np.arange(len(blocks)), counts)
        self.number = np.array([header.number for header in headers])[self.block]
        self.time = np.array([header.time for header in headers])[self.block]
        self.hash = np.frombuffer(b"".join([header.hash for header in headers]), dtype="V32")[self.block]
        logs = [log for block in blocks for log in block.logs]
        self.tx_index = np.array([log[0] for log in logs], dtype=np.int64)
        self.tx_hash = np.frombuffer(b"".join([log[1] for log in logs]), dtype="V32")
        self.log_index = np.array([log[2] for log in logs], dtype=np.int64)


def decode_span(
    blocks: list[LightBlock], head: LedgerHead, event_count: int, layouts: dict[str, Layout], *, proved: bool
) -> Span:
    """Blocks that follow a head and so many events; rows of tables with a layout come packed. Raises `BadEvent`."""
    headers = [parse_header(block.header_rlp) for block in blocks]
    logs = [log for block in blocks for log in block.logs]
    places = _Places(headers, blocks)
    events, batches = [], _Batches(events=[], leases=[], transactions=_transactions(places))
    skipped: set[int] = set()
    for kind, found in _by_kind(logs).items():
        of_kind, chosen = [logs[place] for place in found], np.array(found)
        columns = read_columns(kind, [(topics, data) for _, _, _, topics, data, _ in of_kind])
        batches["events"].append(_events(kind, of_kind, columns, places, chosen, event_count))
        if kind == OPENED:
            batches["leases"].append(_leases(columns, places, chosen))
        if kind == _SKIPPED:
            skipped.update(found)
        events.append(KindEvents(kind, found, [spell_column(column) for column in columns]))
    rows, packed = Facts(), {}
    for name, of_table in batches.items():
        if name in layouts:
            packed[name] = pack_batches(layouts[name], of_table)
        else:
            rows[name] = [row for batch in of_table for row in zip(*map(_listed, batch), strict=True)]
    return Span(
        _advance(headers, blocks, head, skipped),
        events,
        places.tx_hash.tobytes(),
        places.log_index.tolist(),
        rows,
        packed,
        proved,
    )


def _by_kind(logs: list[LightLog]) -> dict[int, list[int]]:
    """Places of logs by kind. Raises `BadEvent`."""
    shapes: dict[tuple[bytes, int, int], list[int]] = {}
    for place, (_, _, _, topics, data, _) in enumerate(logs):
        key = (topics[:32], len(topics), len(data))
        found = shapes.get(key)
        if found is None:
            shapes[key] = [place]
        else:
            found.append(place)
    # A kind has one shape.
    return {kind_of(logs[chosen[0]][3], logs[chosen[0]][4]): chosen for chosen in shapes.values()}


def _events(
    kind: int, logs: list[LightLog], columns: list[Column], places: _Places, chosen: Column, event_count: int
) -> list[Cells]:
    """The rows of `events`."""
    return [
        places.number[chosen],
        places.log_index[chosen],
        places.hash[chosen],
        places.tx_index[chosen],
        chosen + (event_count + 1),
        [EVENTS[kind].__name__] * len(chosen),
        columns[0] if OF_LEASE[kind] else [None] * len(chosen),
        [topics for _, _, _, topics, _, _ in logs],
        [data for _, _, _, _, data, _ in logs],
        [True] * len(chosen),
    ]


def _leases(columns: list[Column], places: _Places, chosen: Column) -> list[Cells]:
    """The rows of `leases`: an event without its deadline, which can move."""
    where = [places.number[chosen], places.log_index[chosen], places.tx_hash[chosen], places.time[chosen]]
    return [*columns[:_DEADLINE], *columns[_DEADLINE + 1 :], *where]


def _transactions(places: _Places) -> list[list[Cells]]:
    """The rows of `transactions`, each from the first of its logs."""
    if not len(places.block):
        return []
    moved = (np.diff(places.block, prepend=-1) != 0) | (np.diff(places.tx_index, prepend=-1) != 0)
    unknown: list[Cells] = [[None] * int(moved.sum())] * _UNKNOWN_CELLS
    return [[places.hash[moved], places.tx_index[moved], places.number[moved], places.tx_hash[moved], *unknown]]


def _listed(cells: Cells) -> Iterable[Any]:
    return cells.tolist() if isinstance(cells, np.ndarray) else cells


def _advance(headers: list[Header], blocks: list[LightBlock], head: LedgerHead, skipped: set[int]) -> list[SpanBlock]:
    """The blocks with the ledger head after each."""
    found, place = [], 0
    for header, block in zip(headers, blocks, strict=True):
        hashes = [log[5] for log in block.logs]
        if skipped:
            hashes = [said for at, said in enumerate(hashes, start=place) if at not in skipped]
        head = head.advance(header.number, header.time, *hashes)
        found.append(SpanBlock(block.header_rlp, block.method, head, len(block.logs)))
        place += len(block.logs)
    return found


def blocks_of(span: Span) -> list[DecodedBlock]:
    """A span's blocks, each with its events in order."""
    tx_hashes: list[bytes] = np.frombuffer(span.tx_hashes, dtype="V32").tolist()
    events: list[Any] = [None] * len(tx_hashes)
    for kind, places, columns in span.events:
        cells = zip(*map(list_column, columns), strict=True)
        if len(places) == len(events):
            events = list(zip(repeat(kind), cells, tx_hashes, span.log_indexes))
            break
        for place, fields in zip(places, cells, strict=True):
            events[place] = (kind, fields, tx_hashes[place], span.log_indexes[place])
    blocks, start = [], 0
    for header_rlp, method, head, count in span.blocks:
        of_block: list[EventAt] = events[start : start + count]
        blocks.append(DecodedBlock(header_rlp, method, False, head, of_block))
        start += count
    return blocks
