"""Kind `lease`: what the ledger's storage says of one lease at a block, or that it has no such lease (SPEC "Proofs").

block hash → header → state root → the ledger's account → its storage root → the words of the lease → its fields.
A claim's words are proved too while the lease is Claimed or Disputed, a dispute's while it is Disputed: only then do
they decide anything.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, Final

from protocol.bundle.block import ProvedBlock, block_member, check_anchor, check_header, read_block
from protocol.bundle.file import VERSION, load, require_hex, require_members, require_nodes, spell
from protocol.bundle.state import StateWalk, mapping_slot
from protocol.errors import BadProof
from protocol.events import EndReason, LeaseState
from protocol.hashing import Address, checksum_address, to_hex
from protocol.proofs import Header, parse_header

LEASE_KIND: Final = "lease"
_LEASE_MEMBERS: Final = ("v", "kind", "block", "ledger", "lease", "nodes")

#: storage slots of the ledger's mappings from lease id
LEASES_SLOT: Final = 5
CLAIMS_SLOT: Final = 6
DISPUTES_SLOT: Final = 7

#: field → (word, first bit, bits); Leases.sol, LedgerTypes.sol and LeaseStatus.sol
LEASE_LAYOUT: Final = {
    "provider": (0, 0, 160),
    "locked": (0, 160, 48),
    "paid": (0, 208, 48),
    "voucherSigner": (1, 0, 160),
    "deadline": (1, 160, 40),
    "rate": (1, 200, 32),
    "zone": (1, 232, 8),
    "state": (1, 240, 3),
    "reason": (1, 243, 3),
    "done": (1, 246, 1),
    "early": (1, 247, 1),
    "responded": (1, 248, 1),
}
CLAIM_LAYOUT: Final = {
    "result": (0, 0, 256),
    "start": (1, 0, 256),
    "work": (2, 0, 64),
    "target": (2, 64, 48),
    "revealFrom": (2, 112, 40),
    "last": (2, 152, 1),
}
DISPUTE_LAYOUT: Final = {"challenger": (0, 0, 160), "bond": (0, 160, 48), "receipt": (1, 0, 256)}

_ADDRESSES: Final = ("provider", "voucherSigner", "challenger")
_HASHES: Final = ("result", "start", "receipt")
_FLAGS: Final = ("done", "early", "responded", "last")
_NAMES: Final[dict[str, type[IntEnum]]] = {"state": LeaseState, "reason": EndReason}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedLease:
    """What the bundle proves."""

    KIND: ClassVar[str] = LEASE_KIND

    block: ProvedBlock
    ledger: Address
    lease: bytes
    #: as `facts` spells them; None: the ledger has no such lease
    fields: dict[str, Any] | None
    claim: dict[str, Any] | None
    dispute: dict[str, Any] | None
    trusted: bool

    @property
    def state_then(self) -> str:
        """The state that counts at the block's time: an Open lease past its deadline is Closing by itself."""
        if self.fields is None:
            return "none"
        state: str = self.fields["state"]
        return "closing" if state == "open" and self.block.time >= int(self.fields["deadline"]) else state

    def anchors(self) -> list[tuple[int, bytes]]:
        """Number and hash of each block that must be known to be of the chain."""
        return [(self.block.number, self.block.hash)]

    def facts(self) -> dict[str, Any]:
        """For JSON; the same in every verifier."""
        return {
            "kind": LEASE_KIND,
            "ledger": self.ledger.lower(),
            "block": self.block.facts(),
            "lease": to_hex(self.lease),
            "state_then": self.state_then,
            "fields": self.fields,
            "claim": self.claim,
            "dispute": self.dispute,
        }


def lease_slots(lease: bytes) -> list[int]:
    """The slots that a proof of this lease may need, in the order in which they are read."""
    places = ((LEASES_SLOT, 2), (CLAIMS_SLOT, 3), (DISPUTES_SLOT, 2))
    return [mapping_slot(mapping, lease) + word for mapping, words in places for word in range(words)]


def slots_needed(second_word: int) -> int:
    """How many of `lease_slots` belong to the proof, by the lease's second word."""
    state = word_bits(second_word, 240, 3)
    return {LeaseState.CLAIMED: 5, LeaseState.DISPUTED: 7}.get(LeaseState(state), 2) if state <= 5 else 2


def write_lease(header_rlp: bytes, ledger: bytes, lease: bytes, nodes: list[bytes]) -> bytes:
    """The canonical file; raises `BadProof` if the nodes prove nothing."""
    fields, claim, dispute = _proved_lease(parse_header(header_rlp), ledger, lease, nodes)
    return spell(
        {
            "v": VERSION,
            "kind": LEASE_KIND,
            "block": block_member(header_rlp),
            "ledger": to_hex(ledger),
            "lease": {"id": to_hex(lease), "fields": fields, "claim": claim, "dispute": dispute},
            "nodes": [to_hex(node) for node in nodes],
        }
    )


def verify_lease(data: bytes, trusted: Collection[bytes] = ()) -> VerifiedLease:
    """Checks a bundle of this kind; raises `BadProof` with the step: file, anchor, header, path, rlp, account,
    storage or lease.
    """
    return check_lease(load(data), trusted)


def check_lease(content: dict[str, Any], trusted: Collection[bytes]) -> VerifiedLease:
    """`verify_lease` of a bundle that is read already."""
    require_members(content, _LEASE_MEMBERS, "file")
    if content["kind"] != LEASE_KIND:
        raise BadProof("file", f"expected kind {LEASE_KIND!r}")
    stated, number, header_rlp = read_block(content["block"])
    member = require_members(content["lease"], ("id", "fields", "claim", "dispute"), "lease")
    lease, ledger = require_hex(member["id"], 32, "lease id"), require_hex(content["ledger"], 20, "ledger")
    nodes = require_nodes(content["nodes"], "node")
    check_anchor(stated, trusted)
    header = check_header(stated, number, header_rlp)
    fields, claim, dispute = _proved_lease(header, ledger, lease, nodes)
    proved = {"id": member["id"], "fields": fields, "claim": claim, "dispute": dispute}
    if spell(proved) != spell(member):
        raise BadProof("lease", f"the storage says {proved}")
    return VerifiedLease(
        block=ProvedBlock.of(header),
        ledger=checksum_address(ledger),
        lease=lease,
        fields=fields,
        claim=claim,
        dispute=dispute,
        trusted=bool(trusted),
    )


_Fields = dict[str, Any] | None


def _proved_lease(header: Header, ledger: bytes, lease: bytes, nodes: list[bytes]) -> tuple[_Fields, _Fields, _Fields]:
    walk, slots = StateWalk(header, ledger, nodes), lease_slots(lease)
    words = [walk.word(slots[0]), walk.word(slots[1])]
    words += [walk.word(slot) for slot in slots[2 : slots_needed(words[1])]]
    walk.finish()
    return (
        _lease_fields(words[:2], LEASE_LAYOUT),
        _lease_fields(words[2:5], CLAIM_LAYOUT),
        _lease_fields(words[5:7], DISPUTE_LAYOUT),
    )


def _lease_fields(words: list[int], layout: dict[str, tuple[int, int, int]]) -> _Fields:
    """The words as fields; None where nothing is stored."""
    if not any(words):
        return None
    spare = list(words)
    fields: dict[str, Any] = {}
    for name, (word, first, bits) in layout.items():
        value = word_bits(words[word], first, bits)
        spare[word] ^= value << first
        fields[name] = _spelt(name, value)
    if any(spare):
        raise BadProof("lease", "bits are set that no field of the ledger has")
    return fields


def word_bits(word: int, first: int, bits: int) -> int:
    return word >> first & ((1 << bits) - 1)


def _spelt(name: str, value: int) -> Any:
    if name in _ADDRESSES:
        return f"0x{value:040x}"
    if name in _HASHES:
        return f"0x{value:064x}"
    if name in _FLAGS:
        return bool(value)
    if name in _NAMES:
        try:
            return _NAMES[name](value).name.lower()
        except ValueError:
            raise BadProof("lease", f"{value} is no {name}") from None
    return str(value)
