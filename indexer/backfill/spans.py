"""What the fetching process hands over: verified ranges, as frames of plain values on a pipe. Pure."""

import marshal
from typing import IO, Any, Final, NamedTuple

from indexer.decoded import DecodedBlock, Facts
from indexer.errors import BadBlock, ParentMismatch
from indexer.layout import Packed
from protocol.errors import BadProof, NodeUnavailable, RpcRefused
from protocol.events import BadEvent, LedgerHead

#: bytes of a frame's length
_LENGTH: Final = 8
#: what may be wrong with a range
ERRORS: Final = (BadBlock, BadEvent, BadProof, NodeUnavailable, ParentMismatch, RpcRefused)
_BY_NAME: Final[dict[str, type[Exception]]] = {kind.__name__: kind for kind in ERRORS}


class Span(NamedTuple):
    """Blocks in a row; none after the last range, or when the node has others now."""

    blocks: list[DecodedBlock]
    #: their rows that need nothing from before them: as they are, or as COPY takes them
    rows: Facts
    packed: dict[str, Packed]
    #: the contract's own head, at the last of them, is theirs
    proved: bool

    @classmethod
    def end(cls) -> "Span":
        return cls([], {}, {}, False)


def write_span(pipe: IO[bytes], span: Span) -> None:
    """Raises `BrokenPipeError` when nobody reads any more."""
    blocks = [(*block[:3], block.head.hash, block.head.count, block.events) for block in span.blocks]
    # Named tuples are not for a pipe.
    rows = {name: [tuple(row) for row in batch] for name, batch in span.rows.items()}
    packed = {name: tuple(batch) for name, batch in span.packed.items()}
    _write(pipe, (True, blocks, rows, packed, span.proved))


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
    blocks, rows, packed, proved = rest
    return Span(
        [
            DecodedBlock(header_rlp, method, whole, LedgerHead(head, count), events)
            for header_rlp, method, whole, head, count, events in blocks
        ],
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
