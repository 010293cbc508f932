"""Kind `absence`: blocks that hold no log of the ledger at all, Skipped ones included (SPEC "Proofs").

A header whose bloom lacks the ledger's address is enough; else all transaction receipts of the block, which rebuild
the header's receipts root and show no log of the ledger. Blocks are consecutive and each names its parent, so the hash
of the last one is enough to trust all. Which ledger is meant, the reader says.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from protocol.bundle.block import ProvedBlock, block_member, check_anchor, check_header, read_block
from protocol.bundle.file import VERSION, load, require_hex, require_list, require_members, require_nodes, spell
from protocol.errors import BadProof
from protocol.hashing import Address, checksum_address, to_hex
from protocol.proofs import Header, bloom_may_hold, parse_header, parse_receipt
from protocol.tries import ordered_root

ABSENCE_KIND: Final = "absence"
_ABSENCE_MEMBERS: Final = ("v", "kind", "ledger", "blocks")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedAbsence:
    """What the bundle proves."""

    KIND: ClassVar[str] = ABSENCE_KIND

    ledger: Address
    first: ProvedBlock
    last: ProvedBlock
    trusted: bool

    def anchors(self) -> list[tuple[int, bytes]]:
        """Number and hash of each block that must be known to be of the chain."""
        return [(self.last.number, self.last.hash)]

    def facts(self) -> dict[str, Any]:
        """For JSON; the same in every verifier."""
        return {
            "kind": ABSENCE_KIND,
            "ledger": self.ledger.lower(),
            "first": self.first.facts(),
            "last": self.last.facts(),
        }


def write_absence(ledger: bytes, blocks: list[tuple[bytes, list[bytes]]]) -> bytes:
    """The canonical file of (header, all receipts) in order; receipts are left out where the bloom is enough.

    Raises `BadProof` where a block holds a log of the ledger.
    """
    members, parent = [], None
    for header_rlp, receipts in blocks:
        header = parse_header(header_rlp)
        needed = receipts if bloom_may_hold(header.logs_bloom, ledger) else []
        _check_silent(header, ledger, needed, parent)
        members.append({"block": block_member(header_rlp), "receipts": [to_hex(receipt) for receipt in needed]})
        parent = header
    return spell({"v": VERSION, "kind": ABSENCE_KIND, "ledger": to_hex(ledger), "blocks": members})


def verify_absence(data: bytes, trusted: Collection[bytes] = ()) -> VerifiedAbsence:
    """Checks a bundle of this kind; compare `ledger` of the answer, which nothing in the blocks binds.

    Raises `BadProof` with the step: file, anchor, header, link, receipts, receipt, rlp or log.
    """
    return check_absence(load(data), trusted)


def check_absence(content: dict[str, Any], trusted: Collection[bytes]) -> VerifiedAbsence:
    """`verify_absence` of a bundle that is read already."""
    require_members(content, _ABSENCE_MEMBERS, "file")
    if content["kind"] != ABSENCE_KIND:
        raise BadProof("file", f"expected kind {ABSENCE_KIND!r}")
    ledger = require_hex(content["ledger"], 20, "ledger")
    blocks = []
    for member in require_list(content["blocks"], "blocks"):
        require_members(member, ("block", "receipts"), "a block")
        blocks.append((read_block(member["block"]), require_nodes(member["receipts"], "receipt")))
    if not blocks:
        raise BadProof("file", "no block")
    check_anchor(blocks[-1][0][0], trusted)
    headers: list[Header] = []
    for (stated, number, header_rlp), receipts in blocks:
        header = check_header(stated, number, header_rlp)
        _check_silent(header, ledger, receipts, headers[-1] if headers else None)
        headers.append(header)
    return VerifiedAbsence(
        ledger=checksum_address(ledger),
        first=ProvedBlock.of(headers[0]),
        last=ProvedBlock.of(headers[-1]),
        trusted=bool(trusted),
    )


def _check_silent(header: Header, ledger: bytes, receipts: list[bytes], parent: Header | None) -> None:
    """The block follows its parent and holds no log of the ledger; raises `BadProof`."""
    if parent is not None and (header.parent_hash != parent.hash or header.number != parent.number + 1):
        raise BadProof("link", f"block {header.number} does not follow block {parent.number}")
    if not bloom_may_hold(header.logs_bloom, ledger):
        if receipts:
            raise BadProof("receipts", f"the bloom of block {header.number} is enough; its receipts are spare")
        return
    if ordered_root(receipts) != header.receipts_root:
        raise BadProof("receipts", f"they are not all receipts of block {header.number}")
    for index, encoded in enumerate(receipts):
        if any(log.address == ledger for log in parse_receipt(encoded).logs):
            raise BadProof("log", f"transaction {index} of block {header.number} holds a log of the ledger")
