"""A chain on paper: real headers, receipts and state tries around a ledger, the same bytes on every machine.

No node makes twice the same block, so golden vectors come from here. What a node makes is proved in
tests/integration/indexer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from protocol.bundle.lease import lease_slots
from protocol.bundle.state import shared_nodes
from protocol.events import HEAD_SLOT, Deposited, LedgerEvent, LedgerHead, event_hash, signature
from protocol.hashing import checksum_address, from_hex, keccak256
from protocol.proofs import EMPTY_ROOT
from protocol.rlp import Item, encode, integer
from protocol.tries import Leaf, nibbles_of, ordered_path, ordered_root, trie_path, trie_root

LEDGER: Final = keccak256(b"ledger on paper")[12:]
STRANGER: Final = keccak256(b"another contract")[12:]
START_TIME: Final = 1_700_000_000

#: address, topics, data
Log = tuple[bytes, list[bytes], bytes]


def log_of(event: LedgerEvent) -> Log:
    """An event as the ledger emits it."""
    cells = []
    for name in event.TYPES:
        value = getattr(event, name)
        raw = value if isinstance(value, bytes) else from_hex(value) if isinstance(value, str) else integer(int(value))
        cells.append(raw.rjust(32, b"\0"))
    topics = [keccak256(signature(type(event)).encode()), *cells[: event.INDEXED]]
    return LEDGER, topics, b"".join(cells[event.INDEXED :])


def deposit(amount: int) -> Deposited:
    """The plainest event."""
    buyer = checksum_address(keccak256(b"buyer")[12:])
    return Deposited(buyer, buyer, amount)


@dataclass(frozen=True, slots=True)
class PaperBlock:
    """A block, and the state after it."""

    number: int
    time: int
    header: bytes
    receipts: list[bytes]
    logs: list[Log]
    head: LedgerHead
    accounts: list[Leaf]
    storage: list[Leaf]

    @property
    def hash(self) -> bytes:
        return keccak256(self.header)

    def nodes(self, slots: Sequence[int]) -> list[bytes]:
        """What proves these slots of the ledger, as a bundle has it."""
        account = trie_path(self.accounts, keccak256(LEDGER))
        return shared_nodes(account, [trie_path(self.storage, _slot_key(slot)) for slot in slots])

    def path(self, index: int) -> list[bytes]:
        """What proves the transaction receipt at `index`."""
        return ordered_path(self.receipts, index)


@dataclass(slots=True)
class PaperChain:
    """Blocks are added one by one; storage words are set in between."""

    #: slots that others wrote, so that paths have some length
    fillers: int = 60
    storage: dict[int, int] = field(default_factory=dict)
    blocks: list[PaperBlock] = field(default_factory=list)
    head: LedgerHead = field(default_factory=LedgerHead)

    def __post_init__(self) -> None:
        for number in range(self.fillers):
            self.storage[int.from_bytes(keccak256(f"slot {number}".encode()), "big")] = number + 1

    def set_lease(self, lease: bytes, words: Sequence[int]) -> None:
        """Up to seven words: the lease's, its claim's, its dispute's."""
        self.storage.update(zip(lease_slots(lease), words, strict=False))

    def add(self, logs: Sequence[Log] = (), *, bloom: bytes | None = None, deposits: bool = False) -> PaperBlock:
        """One more block, each log in a transaction of its own; `bloom` replaces the true one.

        With `deposits` they are those of an OP stack chain.
        """
        number = len(self.blocks) + 1
        time = START_TIME + 12 * number
        for address, topics, data in logs:
            if address == LEDGER:
                self.head = self.head.advance(number, time, event_hash(topics, data))
        self.storage[HEAD_SLOT] = self.head.to_slot()
        storage = _sorted((_slot_key(slot), encode(integer(value))) for slot, value in self.storage.items() if value)
        account = encode([integer(1), b"", trie_root(storage), keccak256(b"code")])
        accounts = _sorted([(keccak256(LEDGER), account), *(_other_account(index) for index in range(20))])
        receipts = [_receipt(log, index, deposits) for index, log in enumerate(logs)]
        header = encode(
            [
                self.blocks[-1].hash if self.blocks else bytes(32),
                *(keccak256(b"uncles"), bytes(20), trie_root(accounts), EMPTY_ROOT, ordered_root(receipts)),
                _bloom(logs) if bloom is None else bloom,
                *(b"", integer(number), integer(30_000_000), integer(50_000 * len(logs)), integer(time), b""),
                *(keccak256(integer(number)), bytes(8), integer(10**9), EMPTY_ROOT, b"", b"", bytes(32), bytes(32)),
            ]
        )
        block = PaperBlock(number, time, header, receipts, list(logs), self.head, accounts, storage)
        self.blocks.append(block)
        return block


def _slot_key(slot: int) -> bytes:
    return keccak256(slot.to_bytes(32, "big"))


def _sorted(entries: object) -> list[Leaf]:
    return sorted((nibbles_of(key), value) for key, value in entries)  # type: ignore[attr-defined]


def _other_account(index: int) -> tuple[bytes, bytes]:
    return keccak256(f"account {index}".encode()), encode(
        [integer(index), integer(10**18 + index), EMPTY_ROOT, keccak256(b"")]
    )


def _receipt(log: Log, index: int, is_deposit: bool) -> bytes:
    """Of type 2, or a deposit's; what nobody reads is zero."""
    address, topics, data = log
    items: list[Item] = [address, list(topics), data]
    fields: list[Item] = [integer(1), integer(50_000 * (index + 1)), bytes(256), [items]]
    return b"\x7e" + encode([*fields, integer(500 + index), integer(1)]) if is_deposit else b"\x02" + encode(fields)


def _bloom(logs: Sequence[Log]) -> bytes:
    bits = 0
    for address, topics, _ in logs:
        for value in (address, *topics):
            digest = keccak256(value)
            for start in (0, 2, 4):
                bits |= 1 << (int.from_bytes(digest[start : start + 2], "big") & 2047)
    return bits.to_bytes(256, "big")
