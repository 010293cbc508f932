"""The signed messages as values (SPEC "Signed messages"). A value that exists fits its Solidity types."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from protocol.errors import TermOutOfRange
from protocol.hashing import ZERO_ADDRESS, Address, checksum_address

# Solidity type of each field; the order of fields is the order in the EIP-712 type.
SolidityType = str

OFFER_TYPES: Final[dict[str, SolidityType]] = {
    "provider": "address",
    "quantities": "uint256",
    "traits": "uint256",
    "zone": "uint8",
    "meter": "uint8",
    "rate": "uint32",
    "capacity": "uint32",
    "min_duration": "uint32",
    "max_duration": "uint32",
    "notice": "uint32",
    "min_charge": "uint48",
    "bond": "uint48",
    "arbiter": "address",
    "expiry": "uint40",
    "epoch": "uint64",
    "salt": "uint256",
}
ORDER_TYPES: Final[dict[str, SolidityType]] = {
    "buyer": "address",
    "voucher_signer": "address",
    "job": "bytes32",
    "quantities": "uint256",
    "all_of": "uint256",
    "any_of": "uint256",
    "none_of": "uint256",
    "zones": "uint256",
    "distinct_zones": "bool",
    "auditor": "address",
    "attested": "uint256",
    "meter": "uint8",
    "max_rate": "uint32",
    "quantity": "uint64",
    "duration": "uint32",
    "budget": "uint48",
    "replicas": "uint8",
    "quorum": "uint8",
    "max_leases": "uint8",
    "bond": "uint48",
    "notice": "uint32",
    "min_charge": "uint48",
    "arbiter": "address",
    "challenge_window": "uint32",
    "matcher": "address",
    "deputy": "address",
    "matcher_until": "uint40",
    "fee": "uint48",
    "expiry": "uint40",
    "epoch": "uint64",
    "salt": "uint256",
}
VOUCHER_TYPES: Final[dict[str, SolidityType]] = {
    "lease": "bytes32",
    "provider": "address",
    "cumulative": "uint48",
    "result": "bytes32",
    "last": "bool",
}
USAGE_RECEIPT_TYPES: Final[dict[str, SolidityType]] = {
    "lease": "bytes32",
    "sequence": "uint32",
    "metered_until": "uint64",
    "work": "uint64",
    "result": "bytes32",
    "checkpoint": "bytes32",
}
ATTESTATION_TYPES: Final[dict[str, SolidityType]] = {
    "auditor": "address",
    "provider": "address",
    "traits": "uint256",
    "zone": "uint8",
    "valid_until": "uint40",
    "evidence": "bytes32",
}
BOOK_RECEIPT_TYPES: Final[dict[str, SolidityType]] = {
    "matcher": "address",
    "hash": "bytes32",
    "sequence": "uint64",
    "received_at": "uint40",
}


_Check = Callable[[str, Any], Any]
"""The value of a field as its Solidity type holds it; raises `TermOutOfRange`."""


def _address(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        raise TermOutOfRange(name, "an address", value)
    return checksum_address(value)


def _bool(name: str, value: Any) -> Any:
    if not isinstance(value, bool):
        raise TermOutOfRange(name, "true or false", value)
    return value


def _bytes32(name: str, value: Any) -> Any:
    if not isinstance(value, bytes) or len(value) != 32:
        raise TermOutOfRange(name, "32 bytes", value)
    return value


def _uint(bits: int) -> _Check:
    ceiling = 1 << bits

    def check(name: str, value: Any) -> Any:
        # bool is an int in Python; a signed amount must not be one.
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < ceiling:
            raise TermOutOfRange(name, f"an integer of 0 to 2^{bits} - 1", value)
        return value

    return check


def _check_of(solidity: SolidityType) -> _Check:
    plain: dict[SolidityType, _Check] = {"address": _address, "bool": _bool, "bytes32": _bytes32}
    return plain.get(solidity) or _uint(int(solidity.removeprefix("uint")))


class Message:
    """A signed message: checks its widths when it is made. `TYPES` maps each field to its Solidity type."""

    __slots__ = ()
    TYPES: ClassVar[dict[str, SolidityType]]
    _CHECKS: ClassVar[tuple[tuple[str, _Check], ...]]

    def __init_subclass__(cls) -> None:
        cls._CHECKS = tuple((name, _check_of(solidity)) for name, solidity in cls.TYPES.items())

    def __post_init__(self) -> None:
        for name, check in self._CHECKS:
            value = getattr(self, name)
            checked = check(name, value)
            if checked is not value:
                object.__setattr__(self, name, checked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer(Message):
    """A provider's standing price and capacity: a filter, checked once, at `open`."""

    TYPES = OFFER_TYPES
    #: account that serves and is paid
    provider: Address
    #: 16 packed lanes (`protocol.resources`)
    quantities: int
    #: bitset of traits
    traits: int
    #: grid zone number; 0 = undeclared
    zone: int
    #: METER_MILLISECONDS or METER_WORK
    meter: int
    #: pico-dollars per metered unit
    rate: int
    #: leases that the provider serves at once over all its offers
    capacity: int
    #: seconds
    min_duration: int
    #: seconds
    max_duration: int
    #: seconds
    notice: int
    #: base units
    min_charge: int = 0
    #: base units locked for one lease at most
    bond: int = 0
    #: who may rule; zero = vouchers only
    arbiter: Address = ZERO_ADDRESS
    #: unix seconds; holds while time < expiry
    expiry: int
    #: the provider's epoch at signing
    epoch: int
    salt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(Message):
    """A buyer's request with its limits: the only terms that count after `open`."""

    TYPES = ORDER_TYPES
    #: account that pays
    buyer: Address
    #: key whose vouchers pay
    voucher_signer: Address
    #: SHA-256 of the manifest's RFC 8785 form
    job: bytes
    #: 16 packed lanes
    quantities: int
    #: traits that must all be offered
    all_of: int = 0
    #: traits of which one must be offered; 0 = any
    any_of: int = 0
    #: traits that must not be offered
    none_of: int = 0
    #: 256-bit set of accepted zones; 0 = any
    zones: int = 0
    distinct_zones: bool = False
    auditor: Address = ZERO_ADDRESS
    attested: int = 0
    meter: int
    #: pico-dollars per metered unit, at most
    max_rate: int
    #: metered units that one lease pays for, at most
    quantity: int
    #: seconds from open
    duration: int
    #: base units that one lane may cost
    budget: int
    replicas: int = 1
    quorum: int = 0
    #: fills in all, 1..16
    max_leases: int
    #: base units locked from the provider
    bond: int = 0
    #: seconds
    notice: int
    #: base units
    min_charge: int = 0
    arbiter: Address = ZERO_ADDRESS
    #: seconds
    challenge_window: int = 0
    #: who alone opens before `matcher_until`; zero = anyone
    matcher: Address
    deputy: Address = ZERO_ADDRESS
    #: unix seconds
    matcher_until: int
    #: base units to the opener at each open
    fee: int
    #: unix seconds
    expiry: int
    #: the buyer's epoch at signing
    epoch: int
    salt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Voucher(Message):
    """What the buyer's side owes so far for one lease."""

    TYPES = VOUCHER_TYPES
    lease: bytes
    provider: Address
    #: base units in all
    cumulative: int
    #: state hash of the segment, or the result hash when `last`
    result: bytes
    #: the result is accepted
    last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReceipt(Message):
    """What the provider says that it did."""

    TYPES = USAGE_RECEIPT_TYPES
    lease: bytes
    #: segment number, from 1
    sequence: int
    #: unix milliseconds
    metered_until: int
    #: raw, cumulative for this lease
    work: int
    #: state hash after the segment, or the result hash of the last
    result: bytes
    #: SHA-256 of the checkpoint file
    checkpoint: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation(Message):
    """An auditor's word about a provider."""

    TYPES = ATTESTATION_TYPES
    auditor: Address
    provider: Address
    traits: int
    zone: int
    #: unix seconds
    valid_until: int
    #: hash of the evidence
    evidence: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class BookReceipt(Message):
    """The matcher's promise that it holds an offer or an order."""

    TYPES = BOOK_RECEIPT_TYPES
    matcher: Address
    #: digest of the offer or order
    hash: bytes
    #: position in the matcher's book
    sequence: int
    #: unix seconds
    received_at: int


AnyMessage = Offer | Order | Voucher | UsageReceipt | Attestation | BookReceipt
