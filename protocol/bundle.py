"""The proof of one ledger event in one file, checked offline against a block hash (SPEC "Proof of one event").

block hash → header → receipts root → transaction receipt → log → event. Whatever the file says is either bound by that
path or refused: no member is free, no member may be added, and the file has one spelling, RFC 8785 with lower-case hex.
So a file with any other byte fails.
"""

from dataclasses import dataclass
from typing import Any, Final

import orjson
import rfc8785

from protocol.errors import BadHex, BadProof
from protocol.events import BadEvent, LedgerEvent, decode_log, to_json
from protocol.hashing import Address, checksum_address, from_hex, to_hex
from protocol.proofs import Header, ReceiptLog, parse_header, parse_receipt, verify_mpt
from protocol.rlp import encode, integer

VERSION: Final = 1
KIND: Final = "event"
#: far above the largest honest bundle: a receipt with a thousand logs
_LARGEST_BYTES: Final = 4 * 1024 * 1024

_MEMBERS: Final = frozenset({"v", "kind", "block", "receipt", "log", "ledger", "event"})
_BLOCK: Final = frozenset({"number", "hash", "header"})
_RECEIPT: Final = frozenset({"index", "nodes"})
_LOG: Final = frozenset({"position"})
_EVENT: Final = frozenset({"kind", "fields"})


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedEvent:
    """What a bundle proves."""

    block_hash: bytes
    block_number: int
    #: unix seconds
    block_time: int
    #: whose event it is: compare it with the deployment that you mean
    ledger: Address
    #: place of its transaction in the block
    tx_index: int
    event: LedgerEvent
    #: False: nobody said that `block_hash` is of the chain; look it up, then the proof holds
    trusted: bool


def write_bundle(header_rlp: bytes, tx_index: int, nodes: list[bytes], position: int) -> bytes:
    """The canonical file; `position` is the log's in its transaction receipt. Raises `BadProof`."""
    header = parse_header(header_rlp)
    log = _proved_log(header, tx_index, nodes, position)
    event = _decoded(log)
    return rfc8785.dumps(
        {
            "v": VERSION,
            "kind": KIND,
            "block": {"number": header.number, "hash": to_hex(header.hash), "header": to_hex(header_rlp)},
            "receipt": {"index": tx_index, "nodes": [to_hex(node) for node in nodes]},
            "log": {"position": position},
            "ledger": to_hex(log.address),
            "event": event_member(event),
        }
    )


def verify_bundle(data: bytes, block_hash: bytes | None = None) -> VerifiedEvent:
    """Checks a bundle, against `block_hash` if that is known to be of the chain.

    Raises `BadProof` with the step that fails: file, anchor, header, path, receipt, log or event.
    """
    content = _parse(data)
    block, receipt, position = content["block"], content["receipt"], content["log"]["position"]
    try:
        stated, header_rlp = from_hex(block["hash"], 32), from_hex(block["header"])
        nodes, ledger = [from_hex(node) for node in receipt["nodes"]], from_hex(content["ledger"], 20)
    except BadHex as error:
        raise BadProof("file", str(error)) from error
    if block_hash is not None and stated != block_hash:
        raise BadProof("anchor", f"it is about block {to_hex(stated)}, trusted is {to_hex(block_hash)}")
    header = parse_header(header_rlp)
    if header.hash != stated:
        raise BadProof("header", f"it hashes to {to_hex(header.hash)}, not to {to_hex(stated)}")
    if header.number != block["number"]:
        raise BadProof("header", f"it is of block {header.number}, not {block['number']}")
    log = _proved_log(header, receipt["index"], nodes, position)
    if log.address != ledger:
        raise BadProof("log", f"it is of contract {to_hex(log.address)}, not of {to_hex(ledger)}")
    event = _decoded(log)
    if event_member(event) != content["event"]:
        raise BadProof("event", f"the log says {event}")
    return VerifiedEvent(
        block_hash=header.hash,
        block_number=header.number,
        block_time=header.time,
        ledger=checksum_address(ledger),
        tx_index=receipt["index"],
        event=event,
        trusted=block_hash is not None,
    )


def event_member(event: LedgerEvent) -> dict[str, Any]:
    """An event as a bundle spells it: as everywhere, but addresses in lower case."""
    fields = to_json(event)
    return {
        "kind": type(event).__name__,
        "fields": {
            name: value.lower() if solidity == "address" else value
            for (name, value), solidity in zip(fields.items(), event.TYPES.values(), strict=True)
        },
    }


def _proved_log(header: Header, tx_index: int, nodes: list[bytes], position: int) -> ReceiptLog:
    encoded = verify_mpt(header.receipts_root, encode(integer(tx_index)), nodes)
    if encoded is None:
        raise BadProof("path", f"block {header.number} has no transaction {tx_index}")
    logs = parse_receipt(encoded).logs
    if position >= len(logs):
        raise BadProof("log", f"the transaction receipt has {len(logs)} logs, there is none at position {position}")
    return logs[position]


def _decoded(log: ReceiptLog) -> LedgerEvent:
    try:
        return decode_log(list(log.topics), log.data)
    except BadEvent as error:
        raise BadProof("event", str(error)) from error


def _parse(data: bytes) -> dict[str, Any]:
    """The file's members, of the right types; its bytes are the only ones that say so."""
    if len(data) > _LARGEST_BYTES:
        raise BadProof("file", f"{len(data)} bytes; a proof of one event has at most {_LARGEST_BYTES}")
    try:
        content = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadProof("file", f"not JSON: {error}") from error
    _require_members(content, _MEMBERS, "file")
    if content["v"] != VERSION or content["kind"] != KIND or isinstance(content["v"], bool | float):
        raise BadProof("file", f"expected kind {KIND!r} in version {VERSION}")
    for name, members in (("block", _BLOCK), ("receipt", _RECEIPT), ("log", _LOG), ("event", _EVENT)):
        _require_members(content[name], members, name)
    numbers = (content["block"]["number"], content["receipt"]["index"], content["log"]["position"])
    texts = [content["block"]["hash"], content["block"]["header"], content["ledger"], content["event"]["kind"]]
    nodes, fields = content["receipt"]["nodes"], content["event"]["fields"]
    if not isinstance(nodes, list) or not isinstance(fields, dict):
        raise BadProof("file", "nodes must be a list, fields an object")
    texts += [*nodes, *[str(value) if isinstance(value, bool) else value for value in fields.values()]]
    if not all(type(number) is int and 0 <= number < 2**53 for number in numbers):
        raise BadProof("file", "block number, index and position must be integers from 0 to 2^53 - 1")
    if not all(isinstance(text, str) for text in texts):
        raise BadProof("file", "a member has the wrong type")
    if rfc8785.dumps(content) != data:
        raise BadProof("file", "not in canonical form (RFC 8785): the same content has one spelling only")
    _require_lower_case([content["block"]["hash"], content["block"]["header"], content["ledger"], *nodes])
    return dict(content)


def _require_members(value: Any, members: frozenset[str], name: str) -> None:
    if not isinstance(value, dict) or value.keys() != members:
        raise BadProof("file", f"{name} must have exactly the members {', '.join(sorted(members))}")


def _require_lower_case(texts: list[str]) -> None:
    # Canonical JSON leaves the case of hex digits open; we do not.
    if any(text != text.lower() for text in texts):
        raise BadProof("file", "hex digits must be lower case")
