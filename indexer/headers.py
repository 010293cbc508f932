"""A node's JSON of blocks → headers that hash to what they say and follow each other. Pure."""

from typing import Any, Final

from indexer.encoding import header_rlp
from indexer.errors import BadBlock, ParentMismatch
from protocol.errors import BadHex, BadProof
from protocol.hashing import from_hex, to_hex
from protocol.proofs import Header, parse_header

#: what an answer of another shape raises where it is read
SHAPE: Final = (KeyError, TypeError, ValueError, AttributeError, IndexError, BadHex)

#: heights and times are less: what a database takes as an integer
LIMIT: Final = 1 << 63


def read_headers(first: int, answers: list[Any], parent_hash: bytes | None) -> list[tuple[Header, bytes]]:
    """The headers from `first` on and their RLP, linked; fewer where the node has no more or changed its mind.

    Raises `BadBlock`, and `ParentMismatch` when the first does not follow `parent_hash`.
    """
    found: list[tuple[Header, bytes]] = []
    for number, answer in enumerate(answers, start=first):
        if answer is None:
            break
        header, encoded = _read_header(number, answer)
        previous = found[-1][0].hash if found else parent_hash
        if previous is not None and header.parent_hash != previous:
            if not found:
                raise ParentMismatch
            break
        found.append((header, encoded))
    return found


def _read_header(number: int, answer: Any) -> tuple[Header, bytes]:
    try:
        encoded = header_rlp(answer)
        header = parse_header(encoded)
        stated = from_hex(answer["hash"], 32)
    except (*SHAPE, BadProof) as error:
        raise BadBlock(number, "shape", f"{type(error).__name__}: {error}") from error
    if header.hash != stated:
        raise BadBlock(number, "header", f"it hashes to {to_hex(header.hash)}, not to {to_hex(stated)}")
    if header.number != number:
        raise BadBlock(number, "header", f"it is block {header.number}")
    if header.time >= LIMIT:
        raise BadBlock(number, "header", "its time is no time")
    return header, encoded
