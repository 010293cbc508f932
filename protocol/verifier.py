"""Checks a Gridlease proof bundle: copy it anywhere, run `python verifier.py FILE --block-hash 0x…`.

Standard library only; `sha3` (safe-pysha3) is used for speed where it is installed. Python 3.11 or newer. Joined from
the modules that are named below by tools/join_verifier.py (`make verifier`): change those, not this. SPEC "Proofs".
"""

import argparse
import json
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cache, lru_cache
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from struct import Struct
from typing import Any, BinaryIO, ClassVar, Final, NewType, TypeAlias

# protocol/errors.py: The one error tree. Each class builds its own message: fact, expected, found, remedy.


class GridleaseError(Exception):
    """Root of all expected errors."""

    code: str = "error"


class ProtocolError(GridleaseError):
    """A message, a file or a number breaks the protocol."""

    code = "protocol"


class BadHex(ProtocolError):
    """Text that should be 0x-prefixed lower- or upper-case hex of a given size is not."""

    code = "bad_hex"

    def __init__(self, text: str, size: int | None) -> None:
        self.size = size
        expected = "0x-prefixed hex" if size is None else f"0x and {2 * size} hex digits"
        super().__init__(f"expected {expected}, found {text[:80]!r}")


class BadProof(ProtocolError):
    """A proof bundle fails at a named step."""

    code = "bad_proof"

    def __init__(self, step: str, fact: str) -> None:
        self.step = step
        super().__init__(f"proof fails at {step}: {fact}")


# protocol/keccak.py: keccak256: by the compiled library where there is one, else in plain Python, so a proof can be …

try:
    from sha3 import keccak_256
except ImportError:
    keccak_256 = None
_compiled: Final[Any] = keccak_256
#: bytes that one permutation takes in
_RATE: Final = 136
_MASK: Final = (1 << 64) - 1
_ROWS: Final = (0, 5, 10, 15, 20)
#: rotation of each lane on its way through the walk of ρ and π
_ROTATIONS: Final = (1, 3, 6, 10, 15, 21, 28, 36, 45, 55, 2, 14, 27, 41, 56, 8, 25, 43, 62, 18, 39, 61, 20, 44)
_WALK: Final = (10, 7, 11, 17, 18, 3, 5, 16, 8, 21, 24, 4, 15, 23, 19, 13, 12, 2, 20, 14, 22, 9, 6, 1)


def keccak256(data: bytes) -> bytes:
    """The EVM's hash, 32 bytes."""
    if _compiled is None:
        return plain_keccak256(data)
    digest: bytes = _compiled(data).digest()
    return digest


def plain_keccak256(data: bytes) -> bytes:
    """The same without the compiled library, some hundred times slower."""
    padded = bytearray(data) + bytes(_RATE - len(data) % _RATE)
    padded[len(data)] = 0x01
    padded[-1] |= 0x80
    lanes = [0] * 25
    for start in range(0, len(padded), _RATE):
        for lane in range(_RATE // 8):
            lanes[lane] ^= int.from_bytes(padded[start + 8 * lane : start + 8 * lane + 8], "little")
        _permute(lanes)
    return b"".join([lane.to_bytes(8, "little") for lane in lanes[:4]])


def _permute(lanes: list[int]) -> None:
    """Keccak-f[1600] in place, lane x + 5y; FIPS 202 section 3.2."""
    for constant in _ROUNDS:
        columns = [lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20] for x in range(5)]
        for x in range(5):
            right = columns[(x + 1) % 5]
            mixed = columns[(x + 4) % 5] ^ (right << 1 & _MASK | right >> 63)
            for y in _ROWS:
                lanes[x + y] ^= mixed
        carried = lanes[1]
        for place, rotation in zip(_WALK, _ROTATIONS, strict=True):
            carried, lanes[place] = lanes[place], carried << rotation & _MASK | carried >> (64 - rotation)
        for y in _ROWS:
            a, b, c, d, e = lanes[y : y + 5]
            lanes[y : y + 5] = a ^ ~b & c, b ^ ~c & d, c ^ ~d & e, d ^ ~e & a, e ^ ~a & b
        lanes[0] ^= constant


def _round_constants() -> list[int]:
    """One bit of each constant comes from a shift register of 8 bits; FIPS 202 algorithm 5."""
    constants, register = [], 1
    for _ in range(24):
        constant = 0
        for power in range(7):
            if register & 1:
                constant |= 1 << ((1 << power) - 1)
            register = (register << 1) ^ (0x171 if register & 0x80 else 0)
        constants.append(constant)
    return constants


_ROUNDS: Final = _round_constants()

# protocol/hashing.py: Hashes and their spellings. keccak256 for what the chain checks, SHA-256 for files, CIDv1 as a …

Address = NewType("Address", str)
"""An account, spelt with EIP-55 checksum."""


def to_hex(data: bytes) -> str:
    """Lower-case hex with 0x."""
    return "0x" + data.hex()


def from_hex(text: str, size: int | None = None) -> bytes:
    """Bytes of 0x-prefixed hex; raises `BadHex` on anything else or on another size than `size` bytes."""
    if not isinstance(text, str) or not text.startswith("0x"):
        raise BadHex(str(text), size)
    try:
        data = bytes.fromhex(text[2:])
    except ValueError:
        raise BadHex(text, size) from None
    # bytes.fromhex skips blanks, so two spellings would name one value.
    if 2 * len(data) != len(text) - 2 or (size is not None and len(data) != size):
        raise BadHex(text, size)
    return data


def checksum_address(address: str | bytes) -> Address:
    """EIP-55 spelling of 20 bytes or of 40 hex digits; mixed case must already be right. Raises `BadHex`."""
    if isinstance(address, bytes):
        if len(address) != 20:
            raise BadHex(to_hex(address), 20)
        return _checksummed(address)
    return _respelt(address) if isinstance(address, str) else _checksummed(from_hex(address, 20))


# A ledger has few accounts and many rows and messages that name them; the hash is most of what one costs to spell.
@lru_cache(maxsize=65_536)
def _respelt(address: str) -> Address:
    raw = from_hex(address, 20)
    digits, spelt = raw.hex(), _checksummed(raw)
    if address[2:] not in (digits, digits.upper(), spelt[2:]):
        raise BadHex(address + " (EIP-55 checksum is wrong)", 20)
    return spelt


@lru_cache(maxsize=65_536)
def _checksummed(raw: bytes) -> Address:
    digits = raw.hex()
    mask = keccak256(digits.encode()).hex()
    return Address(
        "0x"
        + "".join(digit.upper() if int(nibble, 16) >= 8 else digit for digit, nibble in zip(digits, mask, strict=False))
    )


# protocol/bundle/file.py: The form of a bundle: JSON with one spelling (RFC 8785, printable ASCII, lower-case hex), …

VERSION: Final = 1
#: far above the largest honest bundle: all receipts of a block of 100 million gas, in hex
LARGEST_BYTES: Final = 32 * 1024 * 1024
_PRINTABLE: Final = bytes(range(0x20, 0x7F))
_MOST_DIGITS: Final = 16


def load(data: bytes) -> dict[str, Any]:
    """The members of a bundle of any kind; raises `BadProof` at step `file`."""
    if len(data) > LARGEST_BYTES:
        raise BadProof("file", f"more than {LARGEST_BYTES} bytes")
    content = parse_json(data, "file")
    if not isinstance(content, dict) or type(content.get("v")) is not int or content["v"] != VERSION:
        raise BadProof("file", f"not a bundle of version {VERSION}")
    return content


def parse_json(data: bytes, step: str) -> Any:
    """JSON that is spelt as `spell` spells it; raises `BadProof` at `step`."""
    if data.translate(None, _PRINTABLE) or b"\\" in data:
        raise BadProof(step, "a byte that is not printable ASCII, or an escape")
    try:
        content = json.loads(data, parse_float=_refuse_number, parse_constant=_refuse_number, parse_int=_small_integer)
        canonical = spell(content)
    except (ValueError, RecursionError) as error:
        raise BadProof(step, f"not JSON: {str(error)[:80]}") from error
    if canonical != data:
        raise BadProof(step, "not in canonical form (RFC 8785): the same content has one spelling only")
    return content


def spell(content: Any) -> bytes:
    """Canonical bytes of objects, lists, printable ASCII without backslash or quote, small integers, booleans, null."""
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def require_members(value: Any, members: Iterable[str], name: str) -> dict[str, Any]:
    """`value` if it is an object with exactly these members."""
    wanted = set(members)
    if not isinstance(value, dict) or value.keys() != wanted:
        raise BadProof("file", f"{name} must have exactly the members {', '.join(sorted(wanted))}")
    return value


def require_number(value: Any, name: str) -> int:
    """`value` if it is an integer from 0 to 2^53 - 1, which every JSON reader keeps."""
    if type(value) is not int or not 0 <= value < 2**53:
        raise BadProof("file", f"{name} must be an integer from 0 to 2^53 - 1")
    return value


def require_list(value: Any, name: str) -> list[Any]:
    """`value` if it is a list."""
    if not isinstance(value, list):
        raise BadProof("file", f"{name} must be a list")
    return value


def require_hex(value: Any, size: int | None, name: str, step: str = "file") -> bytes:
    """The bytes of lower-case 0x hex; of `size` bytes unless that is None."""
    try:
        data = from_hex(value, size)
    except BadHex as error:
        raise BadProof(step, f"{name}: {error}") from error
    # Canonical JSON leaves the case of hex digits open; we do not.
    if value != value.lower():
        raise BadProof(step, f"{name}: hex digits must be lower case")
    return data


def require_nodes(value: Any, name: str) -> list[bytes]:
    """A list of trie nodes in hex."""
    return [require_hex(node, None, name) for node in require_list(value, name)]


def _refuse_number(text: str) -> Any:
    raise ValueError(f"the number {text[:20]}")


def _small_integer(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


# protocol/rlp.py: Recursive length prefix in its one canonical spelling: what has two spellings is refused (SPEC …

Item: TypeAlias = "bytes | list[Item]"
# A block's nodes nest three deep; a forged proof must not nest until the interpreter's stack ends.
_MAX_DEPTH: Final = 16


def encode(item: Item) -> bytes:
    """The canonical encoding of bytes or of a list."""
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < 0x80:
            return item
        return _prefix(0x80, len(item)) + item
    payload = b"".join([encode(inner) for inner in item])
    return _prefix(0xC0, len(payload)) + payload


def integer(value: int) -> bytes:
    """An unsigned integer as RLP's bytes: big-endian without leading zeros, 0 is empty."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


@lru_cache(maxsize=1 << 12)
def _prefix(offset: int, size: int) -> bytes:
    if size < 56:
        return bytes([offset + size])
    length = integer(size)
    return bytes([offset + 55 + len(length)]) + length


def decode(data: bytes) -> Item:
    """The one item that `data` spells canonically; raises `BadProof` on any other spelling and on bytes left over."""
    item, end = _decode(data, 0, len(data), 0)
    if end != len(data):
        raise BadProof("rlp", f"{len(data) - end} bytes left over")
    return item


def decode_list(data: bytes) -> list[Item]:
    """Like `decode`, for data that must be a list."""
    item = decode(data)
    if isinstance(item, bytes):
        raise BadProof("rlp", "expected a list, found a string")
    return item


def to_integer(item: Item) -> int:
    """The unsigned integer that an item spells; raises `BadProof` on leading zeros."""
    if not isinstance(item, bytes) or item[:1] == b"\x00":
        raise BadProof("rlp", "not a canonical integer")
    return int.from_bytes(item, "big")


def to_bytes(item: Item, size: int | None = None) -> bytes:
    """The string that an item is; raises `BadProof` on a list or on another size than `size` bytes."""
    if not isinstance(item, bytes) or (size is not None and len(item) != size):
        raise BadProof("rlp", "expected a string" if size is None else f"expected a string of {size} bytes")
    return item


def _decode(data: bytes, start: int, end: int, depth: int) -> tuple[Item, int]:
    if start >= end:
        raise BadProof("rlp", "ends too early")
    first = data[start]
    if first < 0x80:
        return data[start : start + 1], start + 1
    is_list = first >= 0xC0
    begin, stop = _extent(data, start, end, first - (0xC0 if is_list else 0x80))
    if not is_list:
        if stop - begin == 1 and data[begin] < 0x80:
            raise BadProof("rlp", "a single byte with a needless prefix")
        return data[begin:stop], stop
    if depth == _MAX_DEPTH:
        raise BadProof("rlp", f"nested deeper than {_MAX_DEPTH}")
    items: list[Item] = []
    while begin < stop:
        item, begin = _decode(data, begin, stop, depth + 1)
        items.append(item)
    return items, stop


def _extent(data: bytes, start: int, end: int, code: int) -> tuple[int, int]:
    """Where the payload begins and stops; `code` is the prefix without its kind."""
    begin, size = start + 1, code
    if code > 55:
        begin = start + 1 + code - 55
        length = data[start + 1 : min(begin, end)]
        size = int.from_bytes(length, "big")
        if size < 56 or length[0] == 0:
            raise BadProof("rlp", "a length with a needless prefix")
    if begin + size > end:
        raise BadProof("rlp", "ends too early")
    return begin, begin + size


# protocol/proofs.py: What a block hash binds: header fields, receipts and state, by Merkle-Patricia paths (SPEC …

EMPTY_ROOT: Final = keccak256(encode(b""))
#: a deposit on an OP stack chain, whose receipt has two numbers more since Canyon: its nonce and a version
DEPOSIT_TYPE: Final = 0x7E
_BASE_FIELDS: Final = 15
#: baseFeePerGas, withdrawalsRoot, blobGasUsed, excessBlobGas, parentBeaconBlockRoot, requestsHash
_LATER_FIELDS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A block header's fields that we use; all of them are bound by `hash`."""

    hash: bytes
    parent_hash: bytes
    number: int
    #: unix seconds
    time: int
    state_root: bytes
    transactions_root: bytes
    receipts_root: bytes
    #: 2048 bits over all logs' addresses and topics
    logs_bloom: bytes


@dataclass(frozen=True, slots=True)
class ReceiptLog:
    """One log of a transaction receipt."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionReceipt:
    """What a transaction did, as the receipts root binds it."""

    #: EIP-2718 type, 0 for legacy
    type: int
    succeeded: bool
    #: gas used by the block up to and with this transaction
    cumulative_gas: int
    logs: tuple[ReceiptLog, ...]


def parse_header(encoded: bytes) -> Header:
    """Reads a header's RLP, of any fork up to Prague; raises `BadProof`."""
    fields = decode_list(encoded)
    if not _BASE_FIELDS <= len(fields) <= _BASE_FIELDS + _LATER_FIELDS:
        raise BadProof("header", f"{len(fields)} fields")
    return Header(
        hash=keccak256(encoded),
        parent_hash=to_bytes(fields[0], 32),
        state_root=to_bytes(fields[3], 32),
        transactions_root=to_bytes(fields[4], 32),
        receipts_root=to_bytes(fields[5], 32),
        logs_bloom=to_bytes(fields[6], 256),
        number=to_integer(fields[8]),
        time=to_integer(fields[11]),
    )


def bloom_may_hold(bloom: bytes, value: bytes) -> bool:
    """False proves that no log of the block has this address or topic."""
    digest = keccak256(value)
    bits = int.from_bytes(bloom, "big")
    return all(bits >> (int.from_bytes(digest[i : i + 2], "big") & 2047) & 1 for i in (0, 2, 4))


def parse_receipt(encoded: bytes) -> TransactionReceipt:
    """Reads a consensus-encoded transaction receipt, legacy or typed; raises `BadProof`."""
    kind = encoded[0] if encoded and encoded[0] < 0x80 else 0
    fields = decode_list(encoded[1:] if kind else encoded)
    if len(fields) != 4 and not (kind == DEPOSIT_TYPE and len(fields) == 6):
        raise BadProof("receipt", "not [status, gas, bloom, logs]")
    if isinstance(fields[3], bytes):
        raise BadProof("receipt", "its logs are no list")
    for number in fields[4:]:
        to_integer(number)
    status = to_bytes(fields[0])
    if status not in (b"", b"\x01"):
        raise BadProof("receipt", "the status is neither 0 nor 1")
    to_bytes(fields[2], 256)
    return TransactionReceipt(
        type=kind,
        succeeded=status == b"\x01",
        cumulative_gas=to_integer(fields[1]),
        logs=tuple([_parse_log(item) for item in fields[3]]),
    )


def _parse_log(item: Item) -> ReceiptLog:
    if isinstance(item, bytes) or len(item) != 3 or isinstance(item[1], bytes) or len(item[1]) > 4:
        raise BadProof("receipt", "a log is not [address, topics, data]")
    topics = tuple([to_bytes(topic, 32) for topic in item[1]])
    return ReceiptLog(to_bytes(item[0], 20), topics, to_bytes(item[2]))


def verify_mpt(root: bytes, key: bytes, nodes: list[bytes]) -> bytes | None:
    """The value under `key`, or None if the trie provably has none; `nodes` is the path from the root, no node more.

    Raises `BadProof` when a node is missing, spare, or not the one that its parent names.
    """
    # Nodes spell the empty trie as no node, or as the one empty string that its root is the hash of.
    if root == EMPTY_ROOT and nodes in ([], [encode(b"")]):
        return None
    witness = Witness(nodes)
    value = witness.value(root, key)
    witness.finish()
    return value


class Witness:
    """The nodes of one or several paths, in the order in which the walks first need them, none missing, none spare.

    Paths of one trie share their beginnings, so each node is there once.
    """

    def __init__(self, nodes: list[bytes]) -> None:
        self._nodes = nodes
        self._used = 0
        self._seen: dict[bytes, list[Item]] = {}

    def value(self, root: bytes, key: bytes) -> bytes | None:
        """The value under `key` in the trie of `root`, or None if that trie provably has none; raises `BadProof`."""
        if root == EMPTY_ROOT:
            return None
        node = self._follow(root)
        path = _nibbles(key)
        while True:
            child, path, ended = _step(node, path)
            if ended or child == b"":
                # An empty string where a value could be means: nothing ends here.
                return to_bytes(child) or None
            node = self._follow(to_bytes(child, 32)) if isinstance(child, bytes) else child

    def finish(self) -> None:
        """Raises `BadProof` if a node was not needed."""
        if self._used != len(self._nodes):
            raise BadProof("path", f"{len(self._nodes) - self._used} nodes too many")

    def _follow(self, expected: bytes) -> list[Item]:
        if expected in self._seen:
            return self._seen[expected]
        if self._used == len(self._nodes):
            raise BadProof("path", "a node is missing")
        encoded = self._nodes[self._used]
        if keccak256(encoded) != expected:
            raise BadProof("path", f"node {self._used} is not the one that its parent names")
        self._used += 1
        self._seen[expected] = decode_list(encoded)
        return self._seen[expected]


def _step(node: list[Item], path: list[int]) -> tuple[Item, list[int], bool]:
    """What the node holds towards `path`, the path left below it, and whether that is a value instead of a child."""
    if len(node) == 17:
        return (node[path[0]], path[1:], False) if path else (node[16], [], True)
    if len(node) != 2:
        raise BadProof("path", f"a node of {len(node)} items")
    segment, is_leaf = _segment(node)
    if is_leaf:
        return (node[1] if path == segment else b""), [], True
    if path[: len(segment)] != segment:
        return b"", [], True
    return node[1], path[len(segment) :], False


def _segment(node: list[Item]) -> tuple[list[int], bool]:
    """The nibbles of a leaf or an extension, and whether it is a leaf (hex-prefix encoding)."""
    nibbles = _nibbles(to_bytes(node[0]))
    if not nibbles or nibbles[0] > 3 or (nibbles[0] in (0, 2) and nibbles[1] != 0):
        raise BadProof("path", "a node with a malformed prefix")
    return nibbles[1 if nibbles[0] & 1 else 2 :], nibbles[0] >= 2


def _nibbles(data: bytes) -> list[int]:
    return [nibble for byte in data for nibble in (byte >> 4, byte & 15)]


def storage_root(account: bytes | None) -> bytes:
    """The root of a contract's storage, from its leaf in the state trie; raises `BadProof`."""
    if account is None:
        raise BadProof("account", "there is no contract at this address")
    fields = decode_list(account)
    if len(fields) != 4:
        raise BadProof("account", f"{len(fields)} fields")
    return to_bytes(fields[2], 32)


def slot_value(leaf: bytes | None) -> int:
    """What a leaf of the storage trie says; no leaf is 0. Raises `BadProof`."""
    value = 0 if leaf is None else to_integer(decode(leaf))
    if value >> 256:
        raise BadProof("storage", "a value of more than 32 bytes")
    return value


# protocol/bundle/block.py: The blocks of a bundle: a header that hashes to the stated hash, and whether the reader …


@dataclass(frozen=True, slots=True)
class ProvedBlock:
    """A block that a bundle speaks of."""

    number: int
    hash: bytes
    #: unix seconds
    time: int

    @classmethod
    def of(cls, header: Header) -> "ProvedBlock":
        return cls(header.number, header.hash, header.time)

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return {"number": self.number, "hash": to_hex(self.hash), "time": self.time}


def read_block(value: Any) -> tuple[bytes, int, bytes]:
    """Form only: stated hash, stated number, header bytes."""
    block = require_members(value, ("number", "hash", "header"), "block")
    number = require_number(block["number"], "block number")
    return require_hex(block["hash"], 32, "block hash"), number, require_hex(block["header"], None, "header")


def check_header(stated: bytes, number: int, header_rlp: bytes) -> Header:
    """The header's fields, if its bytes are those of the stated block; raises `BadProof`."""
    found = keccak256(header_rlp)
    if found != stated:
        raise BadProof("header", f"it hashes to {to_hex(found)}, not to {to_hex(stated)}")
    header = parse_header(header_rlp)
    if header.number != number:
        raise BadProof("header", f"it is of block {header.number}, not {number}")
    return header


def check_anchor(stated: bytes, trusted: Collection[bytes]) -> None:
    """Raises `BadProof` if hashes are trusted and this one is not among them."""
    if trusted and stated not in trusted:
        spelt = ", ".join(to_hex(one) for one in trusted)
        raise BadProof("anchor", f"it is about block {to_hex(stated)}, trusted is {spelt}")


# protocol/bundle/state.py: Storage words of the ledger under a block's state root, by one shared set of trie nodes.


class StateWalk:
    """Reads slots in the order asked; `finish` refuses what no slot needed."""

    def __init__(self, header: Header, ledger: bytes, nodes: list[bytes]) -> None:
        """Raises `BadProof` if the ledger's account is not proved."""
        self._witness = Witness(nodes)
        self._root = storage_root(self._witness.value(header.state_root, keccak256(ledger)))

    def word(self, slot: int) -> int:
        """The word in a slot, 0 if the trie provably has none; raises `BadProof`."""
        return slot_value(self._witness.value(self._root, keccak256(slot.to_bytes(32, "big"))))

    def finish(self) -> None:
        self._witness.finish()


def mapping_slot(mapping: int, key: bytes) -> int:
    """Where a Solidity mapping in slot `mapping` keeps the value of a 32-byte key."""
    return int.from_bytes(keccak256(key + mapping.to_bytes(32, "big")), "big")


# protocol/spelling.py: One name, as each language spells it.


@cache
def camel(name: str) -> str:
    """The Solidity and JSON spelling of a field: `max_rate` → `maxRate`."""
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


# protocol/events.py: The ledger's events as values, and the head that commits to all of them in order (SPEC "Ledger …


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

# protocol/bundle/history.py: Kind `history`: the ledger's head at a block, or at both ends of a range; it commits to …

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


def head_member(head: LedgerHead) -> dict[str, Any]:
    """A head as a bundle spells it."""
    return {"hash": f"0x{head.hash:052x}", "count": head.count}


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


# protocol/tries.py: Builds Merkle-Patricia tries: the ordered ones of a block (transactions, receipts), and any with …

#: nibbles of the key, value
Leaf: TypeAlias = tuple[bytes, bytes]


def ordered_root(values: list[bytes]) -> bytes:
    """The root that a block header names for these transactions or receipts."""
    return trie_root(_leaves(values))


def trie_root(leaves: list[Leaf]) -> bytes:
    """The root over sorted leaves."""
    if not leaves:
        return EMPTY_ROOT
    return keccak256(encode(_node(leaves, 0)))


def nibbles_of(key: bytes) -> bytes:
    """A key as the trie walks it: a half byte a step."""
    return bytes([nibble for byte in key for nibble in (byte >> 4, byte & 15)])


def _leaves(values: list[bytes]) -> list[Leaf]:
    return sorted((nibbles_of(encode(integer(index))), value) for index, value in enumerate(values))


def _node(leaves: list[Leaf], depth: int) -> list[Item]:
    """The node over `leaves`, which are sorted and agree in their first `depth` nibbles."""
    if len(leaves) == 1:
        key, value = leaves[0]
        return [_hex_prefix(key[depth:], 2), value]
    shared = _shared(leaves, depth)
    if shared > depth:
        return [_hex_prefix(leaves[0][0][depth:shared], 0), _reference(_node(leaves, shared))]
    branch: list[Item] = [b""] * 17
    for nibble, below in groupby(leaves, key=lambda leaf: leaf[0][depth]):
        branch[nibble] = _reference(_node(list(below), depth + 1))
    return branch


def _shared(leaves: list[Leaf], depth: int) -> int:
    """How many nibbles all keys share; first and last suffice, because they are sorted."""
    first, last = leaves[0][0], leaves[-1][0]
    while first[depth] == last[depth]:
        depth += 1
    return depth


def _reference(node: list[Item]) -> Item:
    encoded = encode(node)
    return node if len(encoded) < 32 else keccak256(encoded)


def _hex_prefix(nibbles: bytes, flag: int) -> bytes:
    padded = bytes([flag + 1] if len(nibbles) % 2 else [flag, 0]) + nibbles
    return bytes([high << 4 | low for high, low in zip(padded[::2], padded[1::2], strict=True)])


# protocol/bundle/absence.py: Kind `absence`: blocks that hold no log of the ledger at all, Skipped ones included …

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


# protocol/bundle/event.py: Kind `event`: one ledger event is in a block (SPEC "Proofs").

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


# protocol/bundle/lease.py: Kind `lease`: what the ledger's storage says of one lease at a block, or that it has no …

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


# protocol/bundle/verify.py: One call for a bundle of any kind.

Verified: TypeAlias = VerifiedEvent | VerifiedLease | VerifiedAbsence | VerifiedHistory
_CHECKS: Final[dict[str, Callable[[dict[str, Any], Collection[bytes]], Verified]]] = {
    EVENT_KIND: check_event,
    LEASE_KIND: check_lease,
    ABSENCE_KIND: check_absence,
    HISTORY_KIND: check_history,
}


def verify(data: bytes, trusted: Collection[bytes] = (), ledger: bytes | None = None) -> Verified:
    """What a bundle proves, given the hashes of blocks that are known to be of the chain.

    Without any it proves only "if these blocks are of the chain", and `trusted` of the answer is False. `ledger` is the
    contract that the reader means; an absence needs it. Raises `BadProof` with the step that fails.
    """
    verified = _verified(load(data), trusted)
    _check_ledger(verified, ledger)
    return verified


def _verified(content: dict[str, Any], trusted: Collection[bytes]) -> Verified:
    kind = content.get("kind")
    if not isinstance(kind, str) or kind not in _CHECKS:
        raise BadProof("file", f"kind must be one of {', '.join(_CHECKS)}")
    return _CHECKS[kind](content, trusted)


def _check_ledger(verified: Verified, ledger: bytes | None) -> None:
    """The proof is about the ledger that the reader means; raises `BadProof`."""
    if ledger is None and isinstance(verified, VerifiedAbsence):
        # Any address is absent from a block that it never touched: nothing in the blocks binds this one.
        raise BadProof("ledger", f"say which ledger you mean: the file is about {verified.ledger}")
    if ledger is not None and verified.ledger.lower() != to_hex(ledger):
        raise BadProof("ledger", f"expected {to_hex(ledger)}, found {verified.ledger}")


# protocol/bundle/command.py: `python verifier.py FILE`: the verifier as a program of its own, for people who install …


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0: proved, or consistent without --block-hash; 1: not, naming the step that fails; 2: wrong usage."""
    parser = argparse.ArgumentParser(description="Check a Gridlease proof bundle offline.")
    parser.add_argument("file", type=Path)
    parser.add_argument(
        "--block-hash", action="append", default=[], help="hash of a block that you trust; may be repeated"
    )
    parser.add_argument("--ledger", help="address of the ledger that you mean; an absence needs it")
    parser.add_argument("--events", type=Path, help="exported events, to compare with a proof of kind history")
    options = parser.parse_args(arguments)
    try:
        trusted = [from_hex(text, 32) for text in options.block_hash]
        ledger = None if options.ledger is None else from_hex(options.ledger.lower(), 20)
        with options.file.open("rb") as file:
            verified = verify(file.read(LARGEST_BYTES + 1), trusted, ledger)
        replayed = None if options.events is None else _replayed(verified, options.events)
    except BadProof as error:
        print(error, file=sys.stderr)
        return 1
    except (BadHex, OSError) as error:
        parser.error(str(error))
    facts: dict[str, Any] = {"trusted": verified.trusted, **verified.facts()}
    if replayed is not None:
        facts["events_replayed"] = replayed
    print(json.dumps(facts, indent=2))
    if not verified.trusted:
        for number, block_hash in verified.anchors():
            print(f"proved only if block {number} of the chain is {to_hex(block_hash)}: look it up", file=sys.stderr)
    return 0


def _replayed(verified: Verified, events: Path) -> int:
    if not isinstance(verified, VerifiedHistory):
        raise BadProof("events", f"they go with a proof of kind history, this one is of kind {verified.KIND}")
    with events.open("rb") as lines:
        return replay(verified, lines)


if __name__ == "__main__":
    raise SystemExit(main())
