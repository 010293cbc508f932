"""The ledger's events as values, and the head that commits to all of them in order (SPEC "Ledger head").

All event fields are static and the indexed ones come first, so `topics ‖ data` is topic 0 and one word a field.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from struct import Struct
from typing import Any, ClassVar, Final

from protocol.errors import ProtocolError
from protocol.hashing import Address, checksum_address, keccak256, to_hex
from protocol.spelling import camel


class LeaseState(IntEnum):
    """As stored by the ledger; an OPEN lease past its deadline is CLOSING without a transaction."""

    NONE = 0
    OPEN = 1
    CLOSING = 2
    CLAIMED = 3
    DISPUTED = 4
    CLOSED = 5


class EndReason(IntEnum):
    """Why a lease ended."""

    NONE = 0
    COMPLETED = 1
    CANCELLED = 2
    UNRESPONSIVE = 3
    FAULTY = 4
    RESIGNED = 5
    EXPIRED = 6
    CLAIMED = 7


class Skip(IntEnum):
    """Why the ledger passed over an item of a batch; same order as in IComputeLedger.sol."""

    NONE = 0
    UNKNOWN_OFFER = 1
    OFFER_SIGNATURE = 2
    OFFER_EXPIRED = 3
    OFFER_CANCELLED = 4
    OFFER_EPOCH = 5
    ORDER_SIGNATURE = 6
    ORDER_EXPIRED = 7
    ORDER_CANCELLED = 8
    ORDER_EPOCH = 9
    LIMITS = 10
    METER = 11
    ARBITER = 12
    RATE = 13
    DURATION = 14
    BOND = 15
    NOTICE = 16
    MIN_CHARGE = 17
    QUANTITIES = 18
    TRAITS = 19
    ZONE = 20
    ZONE_TAKEN = 21
    ATTESTATION = 22
    MATCHER = 23
    CAPACITY = 24
    FILL_OUT_OF_RANGE = 25
    ALREADY_OPEN = 26
    NO_PREDECESSOR = 27
    PREDECESSOR_OPEN = 28
    LANE_DONE = 29
    DELEGATE_CAP = 30
    NOTHING_TO_LOCK = 31
    BUYER_FUNDS = 32
    BUYER_GUARDED = 33
    PROVIDER_FUNDS = 34
    UNKNOWN_LEASE = 35
    LEASE_CLOSED = 36
    VOUCHER_SIGNATURE = 37
    VOUCHER_STALE = 38
    NOT_LAST = 39
    WRONG_ORDER = 40


class BadEvent(ProtocolError):
    """A log that the ledger cannot have emitted."""

    code = "bad_event"


ENUMS: Final[dict[str, type[IntEnum]]] = {"EndReason": EndReason, "Skip": Skip}


class _Event:
    """TYPES: field → Solidity type in order; the first INDEXED of them are topics."""

    __slots__ = ()
    TYPES: ClassVar[dict[str, str]]
    INDEXED: ClassVar[int]


@dataclass(frozen=True, slots=True)
class Deposited(_Event):
    """`amount` base units arrived and were credited."""

    TYPES = {"account": "address", "sender": "address", "amount": "uint256"}
    INDEXED = 2
    account: Address
    sender: Address
    amount: int


@dataclass(frozen=True, slots=True)
class Withdrawn(_Event):
    """`amount` base units left."""

    TYPES = {"account": "address", "to": "address", "amount": "uint256"}
    INDEXED = 2
    account: Address
    to: Address
    amount: int


@dataclass(frozen=True, slots=True)
class DelegateApproved(_Event):
    """`key` may commit `cap` base units of the buyer's until `until` (unix seconds)."""

    TYPES = {"buyer": "address", "key": "address", "cap": "uint64", "until": "uint40"}
    INDEXED = 2
    buyer: Address
    key: Address
    cap: int
    until: int


@dataclass(frozen=True, slots=True)
class DelegateCharged(_Event):
    """An order that `key` signed took `amount` of its cap."""

    TYPES = {"buyer": "address", "key": "address", "order": "bytes32", "amount": "uint64", "remaining": "uint64"}
    INDEXED = 3
    buyer: Address
    key: Address
    order: bytes
    amount: int
    remaining: int


@dataclass(frozen=True, slots=True)
class MessageCancelled(_Event):
    """`account` voided the offer or order with this digest."""

    TYPES = {"account": "address", "digest": "bytes32"}
    INDEXED = 2
    account: Address
    digest: bytes


@dataclass(frozen=True, slots=True)
class EpochBumped(_Event):
    """`account` voided all that it had signed."""

    TYPES = {"account": "address", "epoch": "uint64"}
    INDEXED = 1
    account: Address
    epoch: int


@dataclass(frozen=True, slots=True)
class LeaseOpened(_Event):
    """A lease was agreed and `locked` base units are held for it."""

    TYPES = {
        "lease": "bytes32",
        "buyer": "address",
        "provider": "address",
        "order": "bytes32",
        "offer": "bytes32",
        "job": "bytes32",
        "voucher_signer": "address",
        "opener": "address",
        "fill": "uint8",
        "meter": "uint8",
        "zone": "uint8",
        "rate": "uint32",
        "locked": "uint48",
        "bond": "uint48",
        "fee": "uint48",
        "deadline": "uint40",
        "notice": "uint32",
    }
    INDEXED = 3
    lease: bytes
    buyer: Address
    provider: Address
    order: bytes
    offer: bytes
    job: bytes
    voucher_signer: Address
    opener: Address
    fill: int
    meter: int
    zone: int
    rate: int
    locked: int
    bond: int
    fee: int
    deadline: int
    notice: int


@dataclass(frozen=True, slots=True)
class VoucherRedeemed(_Event):
    """`amount` base units moved to the provider, who has `paid` of this lease now."""

    TYPES = {
        "lease": "bytes32",
        "provider": "address",
        "amount": "uint48",
        "paid": "uint48",
        "result": "bytes32",
        "last": "bool",
    }
    INDEXED = 2
    lease: bytes
    provider: Address
    amount: int
    paid: int
    result: bytes
    last: bool


@dataclass(frozen=True, slots=True)
class LeaseClosing(_Event):
    """The notice began; it ends at `deadline` (unix seconds)."""

    TYPES = {"lease": "bytes32", "by": "address", "reason": "EndReason", "deadline": "uint40", "done": "bool"}
    INDEXED = 2
    lease: bytes
    by: Address
    reason: EndReason
    deadline: int
    done: bool


@dataclass(frozen=True, slots=True)
class BeneficiarySet(_Event):
    """Only `beneficiary` withdraws from `account` now; zero = the account itself."""

    TYPES = {
        "account": "address",
        "beneficiary": "address",
    }
    INDEXED = 2
    account: Address
    beneficiary: Address


@dataclass(frozen=True, slots=True)
class Auction(_Event):
    """The leases that follow in this transaction come from the book with this root."""

    TYPES = {
        "matcher": "address",
        "book_root": "bytes32",
    }
    INDEXED = 1
    matcher: Address
    book_root: bytes


@dataclass(frozen=True, slots=True)
class LeaseAcknowledged(_Event):
    """The provider answered a close."""

    TYPES = {
        "lease": "bytes32",
        "provider": "address",
    }
    INDEXED = 2
    lease: bytes
    provider: Address


@dataclass(frozen=True, slots=True)
class ClaimCommitted(_Event):
    """The provider committed to a result, to be revealed in `reveal_from` ≤ time < `deadline`."""

    TYPES = {
        "lease": "bytes32",
        "provider": "address",
        "commitment": "bytes32",
        "reveal_from": "uint40",
        "deadline": "uint40",
    }
    INDEXED = 2
    lease: bytes
    provider: Address
    commitment: bytes
    reveal_from: int
    deadline: int


@dataclass(frozen=True, slots=True)
class LeaseClaimed(_Event):
    """The provider is to have `target` base units in all unless somebody objects before `deadline`."""

    TYPES = {
        "lease": "bytes32",
        "provider": "address",
        "result": "bytes32",
        "start": "bytes32",
        "work": "uint64",
        "target": "uint48",
        "last": "bool",
        "deadline": "uint40",
    }
    INDEXED = 2
    lease: bytes
    provider: Address
    result: bytes
    start: bytes
    work: int
    target: int
    last: bool
    deadline: int


@dataclass(frozen=True, slots=True)
class LeaseDisputed(_Event):
    """`challenger` put `bond` base units at stake; `receipt` is zero when the claim is in dispute."""

    TYPES = {
        "lease": "bytes32",
        "challenger": "address",
        "receipt": "bytes32",
        "bond": "uint48",
        "deadline": "uint40",
    }
    INDEXED = 2
    lease: bytes
    challenger: Address
    receipt: bytes
    bond: int
    deadline: int


@dataclass(frozen=True, slots=True)
class LeaseRuled(_Event):
    """The arbiter decided; `LeaseClosed` follows. `challenger` is zero when nobody challenged."""

    TYPES = {
        "lease": "bytes32",
        "arbiter": "address",
        "challenger": "address",
        "provider_wins": "bool",
        "award": "uint48",
        "to_winner": "uint48",
        "to_jurors": "uint48",
        "returned": "uint48",
    }
    INDEXED = 3
    lease: bytes
    arbiter: Address
    challenger: Address
    provider_wins: bool
    award: int
    to_winner: int
    to_jurors: int
    returned: int


@dataclass(frozen=True, slots=True)
class DisputeLapsed(_Event):
    """The arbiter was silent: the challenger's `bond` is free again; `LeaseClosed` follows."""

    TYPES = {
        "lease": "bytes32",
        "challenger": "address",
        "bond": "uint48",
    }
    INDEXED = 2
    lease: bytes
    challenger: Address
    bond: int


@dataclass(frozen=True, slots=True)
class LeaseClosed(_Event):
    """The lease ended: locked = paid + refunded; of the bond `penalty` went to the buyer, `returned` is free again."""

    TYPES = {
        "lease": "bytes32",
        "buyer": "address",
        "provider": "address",
        "reason": "EndReason",
        "paid": "uint48",
        "refunded": "uint48",
        "penalty": "uint48",
        "returned": "uint48",
        "done": "bool",
    }
    INDEXED = 3
    lease: bytes
    buyer: Address
    provider: Address
    reason: EndReason
    paid: int
    refunded: int
    penalty: int
    returned: int
    done: bool


@dataclass(frozen=True, slots=True)
class Skipped(_Event):
    """An item of a batch was passed over; not part of the ledger head."""

    TYPES = {"id": "bytes32", "reason": "Skip"}
    INDEXED = 1
    id: bytes
    reason: Skip


LedgerEvent = (
    Deposited
    | Withdrawn
    | BeneficiarySet
    | DelegateApproved
    | DelegateCharged
    | MessageCancelled
    | EpochBumped
    | Auction
    | LeaseOpened
    | VoucherRedeemed
    | LeaseClosing
    | LeaseAcknowledged
    | ClaimCommitted
    | LeaseClaimed
    | LeaseDisputed
    | LeaseRuled
    | DisputeLapsed
    | LeaseClosed
    | Skipped
)
EVENTS: Final[tuple[type[LedgerEvent], ...]] = (
    Deposited,
    Withdrawn,
    BeneficiarySet,
    DelegateApproved,
    DelegateCharged,
    MessageCancelled,
    EpochBumped,
    Auction,
    LeaseOpened,
    VoucherRedeemed,
    LeaseClosing,
    LeaseAcknowledged,
    ClaimCommitted,
    LeaseClaimed,
    LeaseDisputed,
    LeaseRuled,
    DisputeLapsed,
    LeaseClosed,
    Skipped,
)


def signature(kind: type[LedgerEvent]) -> str:
    """The canonical event signature, enums as uint8."""
    types = ("uint8" if solidity in ENUMS else solidity for solidity in kind.TYPES.values())
    return f"{kind.__name__}({','.join(types)})"


TOPICS: Final[dict[bytes, type[LedgerEvent]]] = {keccak256(signature(kind).encode()): kind for kind in EVENTS}
SKIPPED_TOPIC: Final = keccak256(signature(Skipped).encode())


@lru_cache(maxsize=1 << 16)
def _spell(account: bytes) -> Address:
    """EIP-55 costs a hash, and the same accounts come again and again."""
    return checksum_address(account)


class _Layout:
    """How a kind's words are cut: one Struct over all of them, and one mask over the bits that must be zero."""

    __slots__ = ("_addresses", "_amounts", "_cut", "_enums", "_padding", "data_size", "kind", "place", "topics_size")

    #: the last 8 bytes of a word hold any of our integers but uint256
    _CODES: ClassVar = {"bytes32": "32s", "address": "12x20s", "uint256": "32s", "bool": "31x?"}

    def __init__(self, kind: type[LedgerEvent]) -> None:
        types = list(kind.TYPES.values())
        self.kind = kind
        self.place = EVENTS.index(kind)
        self.topics_size = 32 * (1 + kind.INDEXED)
        self.data_size = 32 * (len(types) - kind.INDEXED)
        self._cut = Struct(">" + "".join(self._CODES.get(solidity, "24xQ") for solidity in types))
        self._padding = int.from_bytes(b"".join(map(padding, types)), "big")
        self._addresses = [index for index, solidity in enumerate(types) if solidity == "address"]
        self._amounts = [index for index, solidity in enumerate(types) if solidity == "uint256"]
        self._enums = [(index, tuple(ENUMS[solidity])) for index, solidity in enumerate(types) if solidity in ENUMS]

    def read(self, words: bytes) -> LedgerEvent:
        """The event in the words after topic 0; raises `BadEvent`."""
        return self.kind(*self.fields(words))

    def fields(self, words: bytes) -> list[Any]:
        """The event's fields in order; raises `BadEvent`."""
        cells = self.cells(words)
        for index in self._addresses:
            cells[index] = _spell(cells[index])
        for index, members in self._enums:
            cells[index] = members[cells[index]]
        return cells

    def cells(self, words: bytes) -> list[Any]:
        """The fields in order, addresses as 20 bytes, enums as integers; raises `BadEvent`."""
        if int.from_bytes(words, "big") & self._padding:
            raise self._fault(words)
        cells: list[Any] = list(self._cut.unpack(words))
        for index in self._amounts:
            cells[index] = int.from_bytes(cells[index], "big")
        for index, members in self._enums:
            if cells[index] >= len(members):
                raise self._fault(words)
        return cells

    def _fault(self, words: bytes) -> BadEvent:
        """The first field that is not of its type."""
        for place, (name, solidity) in enumerate(self.kind.TYPES.items()):
            number = int.from_bytes(words[32 * place : 32 * place + 32], "big")
            if number & int.from_bytes(padding(solidity), "big"):
                return BadEvent(f"{self.kind.__name__}.{name}: {number} is no {solidity}")
            if solidity in ENUMS and number >= len(ENUMS[solidity]):
                return BadEvent(f"{self.kind.__name__}.{name}: {number} is no {solidity}")
        raise AssertionError("a layout that refuses what each of its fields takes")


def padding(solidity: str) -> bytes:
    """The bits of a word that are zero in every value of the type."""
    bits = {"bytes32": 256, "address": 160, "bool": 1}.get(solidity, 8 if solidity in ENUMS else 0)
    bits = bits or int(solidity.removeprefix("uint"))
    return ((1 << 256) - (1 << bits)).to_bytes(32, "big")


_LAYOUTS: Final[dict[bytes, _Layout]] = {topic: _Layout(kind) for topic, kind in TOPICS.items()}


def decode_log(topics: list[bytes], data: bytes) -> LedgerEvent:
    """The event in a log of the ledger; raises `BadEvent` unless the log is exactly what the ledger emits."""
    return decode_words(b"".join(topics), data)


def decode_words(topics: bytes, data: bytes) -> LedgerEvent:
    """Like `decode_log`, for topics that are joined."""
    return _layout_of(topics, data).read(topics[32:] + data)


def decode_fields(topics: bytes, data: bytes) -> tuple[type[LedgerEvent], list[Any]]:
    """Like `decode_words`, for many events that are only shown: the kind and the fields that the event would have."""
    layout = _layout_of(topics, data)
    return layout.kind, layout.fields(topics[32:] + data)


def read_cells(topics: bytes, data: bytes) -> tuple[int, list[Any]]:
    """Like `decode_words`, unspelt: the kind's place in `EVENTS`, and its fields in order: addresses as 20 bytes, enums
    as integers. Raises `BadEvent`."""
    layout = _layout_of(topics, data)
    return layout.place, layout.cells(topics[32:] + data)


def kind_of(topics: bytes, data: bytes) -> int:
    """Its place in `EVENTS`; raises `BadEvent` for a log of no kind, or another length than its kind's."""
    return _layout_of(topics, data).place


def require_shape(topics: list[bytes], data: bytes) -> None:
    """Raises `BadEvent` unless the log is as long as its kind.

    The event hash joins topics and data, so only the shape says where the one ends and the other begins.
    """
    _layout_of(b"".join(topics), data)


def _layout_of(topics: bytes, data: bytes) -> _Layout:
    layout = _LAYOUTS.get(topics[:32])
    if layout is None:
        raise BadEvent(f"unknown topic {topics[:32].hex() or '(none)'}; is this log of another contract?")
    if len(topics) != layout.topics_size or len(data) != layout.data_size:
        name = TOPICS[topics[:32]].__name__
        raise BadEvent(f"{name}: {len(topics) / 32:g} topics and {len(data)} bytes of data do not fit")
    return layout


def to_json(event: LedgerEvent) -> dict[str, Any]:
    """camelCase fields; integers as decimal strings, enums by name, bytes as hex."""
    return fields_to_json(type(event), [getattr(event, name) for name in event.TYPES])


def fields_to_json(kind: type[LedgerEvent], fields: list[Any]) -> dict[str, Any]:
    """The same of an event of which there are only the fields, in order."""
    names, spellings = _SPELLINGS[kind]
    spelt = fields.copy()
    for place, spell in spellings:
        spelt[place] = spell(spelt[place])
    return dict(zip(names, spelt, strict=True))


def _spelling(solidity: str) -> Callable[[Any], Any] | None:
    """None where JSON has the field as it is."""
    if solidity in ENUMS:
        return {member: member.name.lower() for member in ENUMS[solidity]}.__getitem__
    spellings: dict[str, Callable[[Any], Any] | None] = {"bytes32": to_hex, "address": None, "bool": None}
    return spellings.get(solidity, str)


def _spellings(kind: type[LedgerEvent]) -> tuple[tuple[str, ...], list[tuple[int, Callable[[Any], Any]]]]:
    """Names in order, and by place how the fields are spelt that need it."""
    spellings = [(place, _spelling(solidity)) for place, solidity in enumerate(kind.TYPES.values())]
    return tuple(map(camel, kind.TYPES)), [(place, spell) for place, spell in spellings if spell is not None]


_SPELLINGS: Final = {kind: _spellings(kind) for kind in EVENTS}


def event_hash(topics: list[bytes], data: bytes) -> bytes:
    """keccak256(topics ‖ data)."""
    return keccak256(b"".join(topics) + data)


#: hash, count, block number, block time, event hash: an ABI word each
_HEAD_WORDS: Final = Struct(">6x26s24xQ24xQ24xQ32s")


@dataclass(frozen=True, slots=True)
class LedgerHead:
    """The ledger's commitment to its history: storage slot 0, hash in the low 208 bits, count in the top 48."""

    #: 208 bits
    hash: int = 0
    #: events so far
    count: int = 0

    def advance(self, block_number: int, block_time: int, *hashes_of_events: bytes) -> "LedgerHead":
        """The head after more events of a block; `count` enters as it was before each."""
        head, count = self.hash.to_bytes(26, "big"), self.count
        for hash_of_event in hashes_of_events:
            head = keccak256(_HEAD_WORDS.pack(head, count, block_number, block_time, hash_of_event))[6:]
            count += 1
        return LedgerHead(int.from_bytes(head, "big"), count)

    @classmethod
    def from_slot(cls, value: int) -> "LedgerHead":
        return cls(value & ((1 << 208) - 1), value >> 208)

    def to_slot(self) -> int:
        return self.count << 208 | self.hash


HEAD_SLOT: Final = 0
