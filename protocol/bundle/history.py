"""Kind `history`: the ledger's head at a block, or at both ends of a range; it commits to every event between them.

One storage slot holds a hash over all events in order and their count (SPEC "Ledger head"), so the bundle is as small
for a million events as for one. Equal heads at both ends prove that no event is in between. Whoever has the events
(`gridlease indexer export`) replays them: `replay` says whether they are exactly those, none missing, none invented.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, BinaryIO, ClassVar, Final

from protocol.bundle.block import ProvedBlock, block_member, check_anchor, check_header, read_block
from protocol.bundle.file import (
    VERSION,
    load,
    parse_json,
    require_hex,
    require_members,
    require_nodes,
    spell,
)
from protocol.bundle.state import StateWalk
from protocol.errors import BadProof
from protocol.events import HEAD_SLOT, SKIPPED_TOPIC, BadEvent, LedgerHead, event_hash, require_shape
from protocol.hashing import Address, checksum_address, to_hex
from protocol.proofs import Header, parse_header

HISTORY_KIND: Final = "history"
_HISTORY_MEMBERS: Final = ("v", "kind", "ledger", "after", "until")
#: an event of the ledger has at most four topics and fourteen words of data: 1.2 kB in hex
_LONGEST_LINE: Final = 4096


@dataclass(frozen=True, slots=True)
class ProvedHead:
    """The ledger's head after a block."""

    block: ProvedBlock
    head: LedgerHead
    parent_hash: bytes

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return {"block": self.block.facts(), "head": head_member(self.head)}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedHistory:
    """What the bundle proves."""

    KIND: ClassVar[str] = HISTORY_KIND

    ledger: Address
    #: the range begins after this block; None: with the ledger itself
    after: ProvedHead | None
    until: ProvedHead
    trusted: bool

    @property
    def start(self) -> LedgerHead:
        """The head before the first event of the range."""
        return LedgerHead() if self.after is None else self.after.head

    @property
    def count(self) -> int:
        """Events in the range; Skipped ones are in no head."""
        return self.until.head.count - self.start.count

    def anchors(self) -> list[tuple[int, bytes]]:
        """Number and hash of each block that must be known to be of the chain: a parent is known by its child."""
        ends = [self.until] if self.after is None or _follows(self.after, self.until) else [self.after, self.until]
        return [(end.block.number, end.block.hash) for end in ends]

    def facts(self) -> dict[str, Any]:
        """For JSON; the same in every verifier."""
        return {
            "kind": HISTORY_KIND,
            "ledger": self.ledger.lower(),
            "after": None if self.after is None else self.after.facts(),
            "until": self.until.facts(),
            "count": self.count,
        }


def write_history(
    ledger: bytes, until: tuple[bytes, list[bytes]], after: tuple[bytes, list[bytes]] | None = None
) -> bytes:
    """The canonical file; each end is a header and the nodes that prove the head in its state. Raises `BadProof`."""
    return spell(
        {
            "v": VERSION,
            "kind": HISTORY_KIND,
            "ledger": to_hex(ledger),
            "after": None if after is None else _end_member(ledger, *after),
            "until": _end_member(ledger, *until),
        }
    )


def verify_history(data: bytes, trusted: Collection[bytes] = ()) -> VerifiedHistory:
    """Checks a bundle of this kind; raises `BadProof` with the step: file, anchor, header, path, rlp, account,
    storage, head or range.
    """
    return check_history(load(data), trusted)


def check_history(content: dict[str, Any], trusted: Collection[bytes]) -> VerifiedHistory:
    """`verify_history` of a bundle that is read already."""
    require_members(content, _HISTORY_MEMBERS, "file")
    if content["kind"] != HISTORY_KIND:
        raise BadProof("file", f"expected kind {HISTORY_KIND!r}")
    ledger = require_hex(content["ledger"], 20, "ledger")
    until_end = _read_end(content["until"])
    after_end = None if content["after"] is None else _read_end(content["after"])
    check_anchor(until_end.stated, trusted)
    until, after = _checked_end(until_end, ledger), None
    if after_end is not None:
        if until.parent_hash != after_end.stated:
            check_anchor(after_end.stated, trusted)
        after = _checked_end(after_end, ledger)
        _check_order(after, until)
    return VerifiedHistory(ledger=checksum_address(ledger), after=after, until=until, trusted=bool(trusted))


def replay(history: VerifiedHistory, lines: BinaryIO) -> int:
    """Reads exported events and says how many they are, if they are exactly the range's; raises `BadProof` at `events`.

    One line is held at a time, so memory does not grow with the file.
    """
    head, digest = history.start, sha256()
    end = history.until
    for number, line in enumerate(_lines(lines), start=1):
        content = parse_json(line, "events")
        if not isinstance(content, dict):
            raise BadProof("events", f"line {number} is no object")
        if "count" in content:
            _check_trailer(content, history, "0x" + digest.hexdigest())
            break
        head = _advanced(head, content, number)
        digest.update(line + b"\n")
        if head.count > end.head.count:
            raise BadProof("events", f"line {number} is more than the {history.count} events that are proved")
    else:
        raise BadProof("events", "the last line, with the count, is missing: the file was cut")
    if next(_lines(lines), None) is not None:
        raise BadProof("events", "lines after the last line")
    if head != end.head:
        raise BadProof(
            "events",
            f"they come to head 0x{head.hash:052x} after {head.count} events, proved is 0x{end.head.hash:052x} after "
            f"{end.head.count}: one is missing, invented, altered, or out of order",
        )
    return history.count


def export_line(seq: int, block_number: int, block_time: int, topics: list[bytes], data: bytes) -> bytes:
    """One event of an exported file, without its line end; `seq` is its place in the ledger head, from 1."""
    return spell(
        {
            "block": block_number,
            "data": to_hex(data),
            "seq": seq,
            "time": block_time,
            "topics": [to_hex(topic) for topic in topics],
        }
    )


def export_trailer(count: int, first_block: int, last_block: ProvedBlock, digest: bytes) -> bytes:
    """The last line: events, blocks (first 0 = from the ledger's beginning), and the SHA-256 of all lines before it."""
    return spell(
        {
            "count": count,
            "first_block": first_block,
            "last_block": last_block.number,
            "last_hash": to_hex(last_block.hash),
            "sha256": to_hex(digest),
        }
    )


def head_member(head: LedgerHead) -> dict[str, Any]:
    """A head as a bundle spells it."""
    return {"hash": f"0x{head.hash:052x}", "count": head.count}


def _end_member(ledger: bytes, header_rlp: bytes, nodes: list[bytes]) -> dict[str, Any]:
    head = _proved_head(parse_header(header_rlp), ledger, nodes)
    return {
        "block": block_member(header_rlp),
        "head": head_member(head),
        "nodes": [to_hex(node) for node in nodes],
    }


@dataclass(frozen=True, slots=True)
class _End:
    """One end as the file says it, well formed and not yet checked."""

    stated: bytes
    number: int
    header_rlp: bytes
    head: Any
    nodes: list[bytes]


def _read_end(value: Any) -> _End:
    member = require_members(value, ("block", "head", "nodes"), "an end of the range")
    return _End(*read_block(member["block"]), member["head"], require_nodes(member["nodes"], "node"))


def _checked_end(end: _End, ledger: bytes) -> ProvedHead:
    header = check_header(end.stated, end.number, end.header_rlp)
    head = _proved_head(header, ledger, end.nodes)
    if spell(head_member(head)) != spell(end.head):
        raise BadProof("head", f"the storage says 0x{head.hash:052x} after {head.count} events")
    return ProvedHead(ProvedBlock.of(header), head, header.parent_hash)


def _proved_head(header: Header, ledger: bytes, nodes: list[bytes]) -> LedgerHead:
    walk = StateWalk(header, ledger, nodes)
    head = LedgerHead.from_slot(walk.word(HEAD_SLOT))
    walk.finish()
    return head


def _follows(after: ProvedHead, until: ProvedHead) -> bool:
    return until.parent_hash == after.block.hash


def _check_order(after: ProvedHead, until: ProvedHead) -> None:
    if after.block.number >= until.block.number:
        raise BadProof("range", f"it begins after block {after.block.number} and ends with {until.block.number}")
    grown = until.head.count - after.head.count
    if grown < 0 or (grown == 0) != (until.head == after.head):
        raise BadProof("range", "the two heads are not of one history")


def _lines(source: BinaryIO) -> Iterator[bytes]:
    while line := source.readline(_LONGEST_LINE + 1):
        if line[-1:] != b"\n":
            raise BadProof("events", f"a line is cut, or longer than {_LONGEST_LINE} bytes")
        yield line[:-1]


def _advanced(head: LedgerHead, content: dict[str, Any], number: int) -> LedgerHead:
    if content.keys() != {"block", "data", "seq", "time", "topics"} or not isinstance(content["topics"], list):
        raise BadProof("events", f"line {number} is no event")
    for name in ("block", "seq", "time"):
        if type(content[name]) is not int or content[name] < 0:
            raise BadProof("events", f"line {number}: {name} must be a whole number")
    if content["seq"] != head.count + 1:
        raise BadProof("events", f"line {number} is event {content['seq']}, expected is {head.count + 1}")
    topics = [require_hex(topic, 32, f"line {number}", "events") for topic in content["topics"]]
    data = require_hex(content["data"], None, f"line {number}", "events")
    try:
        require_shape(topics, data)
    except BadEvent as error:
        raise BadProof("events", f"line {number}: {error}") from error
    if topics[0] == SKIPPED_TOPIC:
        raise BadProof("events", f"line {number} is a Skipped, which no head holds")
    return head.advance(content["block"], content["time"], event_hash(topics, data))


def _check_trailer(content: dict[str, Any], history: VerifiedHistory, digest: str) -> None:
    if content.keys() != {"count", "first_block", "last_block", "last_hash", "sha256"}:
        raise BadProof("events", "the last line has other members")
    if content["sha256"] != digest:
        raise BadProof("events", f"the lines hash to {digest}, the last line says {content['sha256']}")
    last = history.until.block
    if content["last_hash"] != to_hex(last.hash) or content["last_block"] != last.number:
        raise BadProof(
            "events",
            f"they are exported up to block {content['last_block']}, proved is block {last.number}: "
            f"export with --to-block {last.number}",
        )
    if type(content["count"]) is not int or content["count"] != history.count:
        raise BadProof("events", f"the last line counts {content['count']} events, {history.count} are proved")
    first = 0 if history.after is None else history.after.block.number + 1
    if type(content["first_block"]) is not int or content["first_block"] != first:
        raise BadProof("events", f"they are exported from block {content['first_block']}, proved from block {first}")
