"""What the fetching process hands over: verified ranges, as frames of plain values on a pipe. Pure."""

import marshal
from typing import IO, Any, Final, NamedTuple

from indexer.decoded import Facts
from indexer.errors import BadBlock, ParentMismatch
from indexer.facts import Method
from indexer.layout import Packed
from protocol.errors import BadProof, NodeUnavailable, RpcRefused
from protocol.events import BadEvent, LedgerHead

#: bytes of a frame's length
_LENGTH: Final = 8
#: what may be wrong with a range
ERRORS: Final = (BadBlock, BadEvent, BadProof, NodeUnavailable, ParentMismatch, RpcRefused)
_BY_NAME: Final[dict[str, type[Exception]]] = {kind.__name__: kind for kind in ERRORS}


class SpanBlock(NamedTuple):
    """A light block, without its events."""

    header_rlp: bytes
    method: Method
    #: after it
    head: LedgerHead
    event_count: int


class KindEvents(NamedTuple):
    """The events of one kind, by columns."""

    #: its place in `protocol.events.EVENTS`
    kind: int
    #: where in the span they are
    places: list[int]
    #: a field each: its code and bytes, or the values, as `indexer.backfill.columns` spells them
    columns: list[tuple[str, bytes] | list[int]]


class Span(NamedTuple):
    """Blocks in a row; none after the last range, or when the node has others now."""

    blocks: list[SpanBlock]
    #: of all of them
    events: list[KindEvents]
    #: an event each: of its transaction, joined; and its place in the block
    tx_hashes: bytes
    log_indexes: list[int]
    #: their rows that need nothing from before them: as they are, or as COPY takes them
    rows: Facts
    packed: dict[str, Packed]
    #: the contract's own head, at the last of them, is theirs
    proved: bool

    @classmethod
    def end(cls) -> "Span":
        return cls([], [], b"", [], {}, {}, False)


def write_span(pipe: IO[bytes], span: Span) -> None:
    """Raises `BrokenPipeError` when nobody reads any more."""
    # Named tuples are not for a pipe.
    blocks = [(rlp, method, head.hash, head.count, count) for rlp, method, head, count in span.blocks]
    events = [tuple(of_kind) for of_kind in span.events]
    packed = {name: tuple(batch) for name, batch in span.packed.items()}
    _write(pipe, (True, blocks, events, span.tx_hashes, span.log_indexes, span.rows, packed, span.proved))


def write_error(pipe: IO[bytes], error: Exception) -> None:
    """An error of `ERRORS`, with its words and plain fields."""
    fields = {name: value for name, value in vars(error).items() if isinstance(value, str | int | None)}
    _write(pipe, (False, type(error).__name__, str(error), fields))


def read_span(pipe: IO[bytes]) -> Span:
    """The next one; raises what its writer wrote, or `EOFError` when it is gone."""
    length = int.from_bytes(pipe.read(_LENGTH), "big")
    content = pipe.read(length)
    if not length or len(content) != length:
        raise EOFError("the process that fetches has ended")
    good, *rest = marshal.loads(content)  # noqa: S302 (from our own process)
    if not good:
        name, words, fields = rest
        raise _error(_BY_NAME[name], words, fields)
    blocks, events, tx_hashes, log_indexes, rows, packed, proved = rest
    return Span(
        [SpanBlock(rlp, method, LedgerHead(head, count), events) for rlp, method, head, count, events in blocks],
        [KindEvents(*of_kind) for of_kind in events],
        tx_hashes,
        log_indexes,
        rows,
        {name: Packed(*batch) for name, batch in packed.items()},
        proved,
    )


def _error(kind: type[Exception], words: str, fields: dict[str, Any]) -> Exception:
    error = kind.__new__(kind)
    error.args = (words,)
    vars(error).update(fields)
    return error


def _write(pipe: IO[bytes], value: Any) -> None:
    content = marshal.dumps(value)
    pipe.write(len(content).to_bytes(_LENGTH, "big"))
    pipe.write(content)
    pipe.flush()
