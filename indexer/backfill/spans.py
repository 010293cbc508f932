"""What the fetching process hands over: verified ranges of light blocks, as frames of plain values on a pipe. Pure."""

import marshal
from typing import IO, Any, Final, NamedTuple, TypeAlias

from indexer.errors import BadBlock, ParentMismatch
from indexer.facts import Method
from protocol.errors import BadProof, NodeUnavailable, RpcRefused

#: the fields of a `decoder.LogFact`, plain: tx_index, tx_hash, log_index, topics joined, data, event hash
LightLog: TypeAlias = tuple[int, bytes, int, bytes, bytes, bytes]

#: bytes of a frame's length
_LENGTH: Final = 8
#: what may be wrong with a range
ERRORS: Final = (BadBlock, BadProof, NodeUnavailable, ParentMismatch, RpcRefused)
_BY_NAME: Final[dict[str, type[Exception]]] = {kind.__name__: kind for kind in ERRORS}


class LightBlock(NamedTuple):
    """A block by its header, and the ledger's logs in it."""

    header_rlp: bytes
    method: Method
    logs: list[LightLog]


class Span(NamedTuple):
    """Blocks in order, each the parent of the next."""

    blocks: list[LightBlock]
    #: the ledger's slot 0 after the last of them, by a storage proof; None where none was asked for
    proved_slot: int | None


def write_span(pipe: IO[bytes], span: Span) -> None:
    """Waits until the pipe takes it."""
    _write(pipe, (True, [tuple(block) for block in span.blocks], _slot_bytes(span.proved_slot)))


def write_error(pipe: IO[bytes], error: Exception) -> None:
    """An error of `ERRORS`, with its words and plain fields."""
    fields = {name: value for name, value in vars(error).items() if isinstance(value, str | int | None)}
    _write(pipe, (False, type(error).__name__, str(error), fields))


def read_span(pipe: IO[bytes]) -> Span:
    """The next; raises the error that came instead, and `EOFError` when the process ended."""
    length = pipe.read(_LENGTH)
    content = pipe.read(int.from_bytes(length, "big")) if len(length) == _LENGTH else b""
    if len(length) < _LENGTH or len(content) < int.from_bytes(length, "big"):
        raise EOFError("the fetching process ended")
    good, *rest = marshal.loads(content)  # noqa: S302 (from our own process)
    if not good:
        name, words, fields = rest
        raise _error(_BY_NAME[name], words, fields)
    blocks, slot = rest
    return Span([LightBlock(*block) for block in blocks], None if slot is None else int.from_bytes(slot, "big"))


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


def _slot_bytes(slot: int | None) -> bytes | None:
    return None if slot is None else slot.to_bytes(32, "big")
