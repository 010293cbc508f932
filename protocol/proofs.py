"""What a block hash binds: header fields, receipts and state, by Merkle-Patricia paths (SPEC "Proofs").

Pure: takes bytes, returns facts or raises `BadProof` with the step that fails. Whoever trusts the block hash need not
trust who sent the proof. A path is minimal: a node that it does not need is refused, so a proof has one spelling.
"""

from dataclasses import dataclass
from typing import Final

from protocol.errors import BadProof
from protocol.hashing import keccak256
from protocol.rlp import Item, decode, decode_list, encode, to_bytes, to_integer

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


def verify_storage(state_root: bytes, contract: bytes, slot: int, account: list[bytes], storage: list[bytes]) -> int:
    """The value of a storage slot under a state root, by the paths of `eth_getProof`; raises `BadProof`."""
    root = storage_root(verify_mpt(state_root, keccak256(contract), account))
    return slot_value(verify_mpt(root, keccak256(slot.to_bytes(32, "big")), storage))


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
