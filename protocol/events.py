"""The ledger's events as values, and the head that commits to all of them in order (SPEC "Ledger head").

All event fields are static and the indexed ones come first, so `topics ‖ data` is topic 0 and one word a field.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, Final

from protocol.errors import ProtocolError
from protocol.hashing import Address, checksum_address, keccak256
from protocol.messages import camel


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


_ENUMS: Final = {"EndReason": EndReason, "Skip": Skip}


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
    types = ("uint8" if solidity in _ENUMS else solidity for solidity in kind.TYPES.values())
    return f"{kind.__name__}({','.join(types)})"


TOPICS: Final[dict[bytes, type[LedgerEvent]]] = {keccak256(signature(kind).encode()): kind for kind in EVENTS}
SKIPPED_TOPIC: Final = keccak256(signature(Skipped).encode())


def decode_log(topics: list[bytes], data: bytes) -> LedgerEvent:
    """The event in a log of the ledger; raises `BadEvent` unless the log is exactly what the ledger emits."""
    kind = TOPICS.get(topics[0]) if topics else None
    if kind is None:
        raise BadEvent(f"unknown topic {topics[0].hex() if topics else '(none)'}; is this log of another contract?")
    if len(topics) != 1 + kind.INDEXED or len(data) != 32 * (len(kind.TYPES) - kind.INDEXED):
        raise BadEvent(f"{kind.__name__}: {len(topics)} topics and {len(data)} bytes of data do not fit")
    cells = [*topics[1:], *(data[i : i + 32] for i in range(0, len(data), 32))]
    values = [_value(name, solidity, cell) for (name, solidity), cell in zip(kind.TYPES.items(), cells, strict=True)]
    return kind(*values)


def _value(name: str, solidity: str, cell: bytes) -> Any:
    if solidity == "bytes32":
        return cell
    number = int.from_bytes(cell, "big")
    if solidity == "address":
        if number >> 160:
            raise BadEvent(f"{name}: not an address")
        return checksum_address(cell[12:])
    if solidity in _ENUMS:
        try:
            return _ENUMS[solidity](number)
        except ValueError:
            raise BadEvent(f"{name}: {number} is no {solidity}") from None
    bits = 1 if solidity == "bool" else int(solidity.removeprefix("uint"))
    if number >> bits:
        raise BadEvent(f"{name}: {number} does not fit {solidity}")
    return bool(number) if solidity == "bool" else number


def to_json(event: LedgerEvent) -> dict[str, Any]:
    """camelCase fields; integers as decimal strings, enums by name, bytes as hex."""
    out: dict[str, Any] = {}
    for name in event.TYPES:
        value = getattr(event, name)
        if isinstance(value, bytes):
            value = "0x" + value.hex()
        elif isinstance(value, int) and not isinstance(value, bool):
            value = value.name.lower() if isinstance(value, IntEnum) else str(value)
        out[camel(name)] = value
    return out


def event_hash(topics: list[bytes], data: bytes) -> bytes:
    """keccak256(topics ‖ data)."""
    return keccak256(b"".join(topics) + data)


@dataclass(frozen=True, slots=True)
class LedgerHead:
    """The ledger's commitment to its history: storage slot 0, hash in the low 208 bits, count in the top 48."""

    #: 208 bits
    hash: int = 0
    #: events so far
    count: int = 0

    def advance(self, block_number: int, block_time: int, hash_of_event: bytes) -> "LedgerHead":
        """The head after one more event; `count` enters as it was before it."""
        numbers = (self.hash, self.count, block_number, block_time)
        encoded = b"".join(number.to_bytes(32, "big") for number in numbers) + hash_of_event
        return LedgerHead(int.from_bytes(keccak256(encoded)[6:], "big"), self.count + 1)

    @classmethod
    def from_slot(cls, value: int) -> "LedgerHead":
        return cls(value & ((1 << 208) - 1), value >> 208)

    def to_slot(self) -> int:
        return self.count << 208 | self.hash


HEAD_SLOT: Final = 0
