"""Kind `event`: one ledger event is in a block (SPEC "Proofs").

block hash → header → receipts root → transaction receipt → log → event.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from protocol.bundle.block import block_member, check_anchor, check_header, read_block
from protocol.bundle.file import (
    VERSION,
    load,
    require_hex,
    require_members,
    require_nodes,
    require_number,
    spell,
)
from protocol.errors import BadProof
from protocol.events import BadEvent, LedgerEvent, decode_log, to_json
from protocol.hashing import Address, checksum_address, to_hex
from protocol.proofs import Header, ReceiptLog, parse_header, parse_receipt, verify_mpt
from protocol.rlp import encode, integer

EVENT_KIND: Final = "event"
_EVENT_MEMBERS: Final = ("v", "kind", "block", "receipt", "log", "ledger", "event")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedEvent:
    """What the bundle proves."""

    KIND: ClassVar[str] = EVENT_KIND

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

    def anchors(self) -> list[tuple[int, bytes]]:
        """Number and hash of each block that must be known to be of the chain."""
        return [(self.block_number, self.block_hash)]

    def facts(self) -> dict[str, Any]:
        """For JSON; the same in every verifier."""
        return {
            "kind": EVENT_KIND,
            "ledger": self.ledger.lower(),
            "block_hash": to_hex(self.block_hash),
            "block_number": self.block_number,
            "block_time": self.block_time,
            "tx_index": self.tx_index,
            "event": event_member(self.event),
        }


def write_event(header_rlp: bytes, tx_index: int, nodes: list[bytes], position: int) -> bytes:
    """The canonical file; `position` is the log's in its transaction receipt. Raises `BadProof`."""
    log = _proved_log(parse_header(header_rlp), tx_index, nodes, position)
    return spell(
        {
            "v": VERSION,
            "kind": EVENT_KIND,
            "block": block_member(header_rlp),
            "receipt": {"index": tx_index, "nodes": [to_hex(node) for node in nodes]},
            "log": {"position": position},
            "ledger": to_hex(log.address),
            "event": event_member(_decoded(log)),
        }
    )


def verify_event(data: bytes, trusted: Collection[bytes] = ()) -> VerifiedEvent:
    """Checks a bundle of this kind, against the block hashes that are known to be of the chain.

    Raises `BadProof` with the step that fails: file, anchor, header, path, rlp, receipt, log or event.
    """
    return check_event(load(data), trusted)


def check_event(content: dict[str, Any], trusted: Collection[bytes]) -> VerifiedEvent:
    """`verify_event` of a bundle that is read already."""
    require_members(content, _EVENT_MEMBERS, "file")
    if content["kind"] != EVENT_KIND:
        raise BadProof("file", f"expected kind {EVENT_KIND!r}")
    stated, number, header_rlp = read_block(content["block"])
    receipt = require_members(content["receipt"], ("index", "nodes"), "receipt")
    log_member = require_members(content["log"], ("position",), "log")
    index = require_number(receipt["index"], "receipt index")
    position = require_number(log_member["position"], "log position")
    nodes, ledger = require_nodes(receipt["nodes"], "node"), require_hex(content["ledger"], 20, "ledger")
    check_anchor(stated, trusted)
    header = check_header(stated, number, header_rlp)
    log = _proved_log(header, index, nodes, position)
    if log.address != ledger:
        raise BadProof("log", f"it is of contract {to_hex(log.address)}, not of {to_hex(ledger)}")
    event = _decoded(log)
    # Compared as spelt: to Python, 1 and true are equal.
    if spell(event_member(event)) != spell(content["event"]):
        raise BadProof("event", f"the log says {event}")
    return VerifiedEvent(
        block_hash=header.hash,
        block_number=header.number,
        block_time=header.time,
        ledger=checksum_address(ledger),
        tx_index=index,
        event=event,
        trusted=bool(trusted),
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
