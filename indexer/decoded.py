"""What blocks say by themselves, whatever came before them: their events, the rows of these, the ledger head. Pure.

A backfill's fetching process does this part; who folds does the rest.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from indexer.facts import Method, Row
from protocol.events import EVENTS, LeaseOpened, LedgerHead, Skipped, read_cells

if TYPE_CHECKING:
    from indexer.decoder import BlockFacts

#: rows by table
Facts = dict[str, list[Row]]

_NAMES: Final = [kind.__name__ for kind in EVENTS]
#: the kind that a lease begins with
OPENED: Final = EVENTS.index(LeaseOpened)
_DEADLINE: Final = list(LeaseOpened.TYPES).index("deadline")
_SKIPPED: Final = EVENTS.index(Skipped)
#: kinds whose first field is a lease; of a skipped item it is what the item would have been about
OF_LEASE: Final = [next(iter(kind.TYPES)) == "lease" or kind is Skipped for kind in EVENTS]

#: an event in its place, plain: where its kind is in `protocol.events.EVENTS`, its fields as `read_cells` gives them,
#: the hash of its transaction, its log index
EventAt: TypeAlias = tuple[int, Sequence[Any], bytes, int]


class DecodedBlock(NamedTuple):
    """A block and its events."""

    header_rlp: bytes
    method: Method
    #: its transactions were checked too
    whole: bool
    #: after it
    head: LedgerHead
    events: list[EventAt]


def decode(
    blocks: "list[BlockFacts]", head: LedgerHead, event_count: int
) -> tuple[list[DecodedBlock], Facts, LedgerHead]:
    """Blocks that follow a head and so many events; their rows that need nothing else; the head after them.

    Raises `BadEvent`.
    """
    decoded, bodies, transactions, events, leases = [], list[Row](), list[Row](), list[Row](), list[Row]()
    seq = event_count
    for facts in blocks:
        number, block_hash, time = facts.header.number, facts.header.hash, facts.header.time
        found, counted = list[EventAt](), list[bytes]()
        for tx_index, tx_hash, log_index, topics, data, event_hash in facts.logs:
            seq += 1
            kind, cells = read_cells(topics, data)
            lease = cells[0] if OF_LEASE[kind] else None
            events.append((number, log_index, block_hash, tx_index, seq, _NAMES[kind], lease, topics, data, True))
            if kind == OPENED:
                # A lease's row is its event without the deadline, which can move.
                leases.append((*cells[:_DEADLINE], *cells[_DEADLINE + 1 :], number, log_index, tx_hash, time))
            if kind != _SKIPPED:
                counted.append(event_hash)
            found.append((kind, cells, tx_hash, log_index))
        head = head.advance(number, time, *counted)
        decoded.append(DecodedBlock(facts.header_rlp, facts.method, facts.whole, head, found))
        transactions += facts.transactions
        if facts.body is not None:
            bodies.append(facts.body)
    rows = {"bodies": bodies, "transactions": transactions, "events": events, "leases": leases}
    return decoded, rows, head
