"""Blocks made of ledger events, with true roots and hashes, for tests that need many histories and no node."""

from dataclasses import dataclass, field
from random import Random

from indexer.source import Contracts, VerifiedBlock
from protocol.calls import sign_transaction
from protocol.events import (
    Deposited,
    EndReason,
    LeaseClosed,
    LeaseOpened,
    LedgerEvent,
    VoucherRedeemed,
    Withdrawn,
    signature,
)
from protocol.hashing import Address, checksum_address, keccak256
from protocol.keys import LocalKey
from protocol.proofs import parse_header
from protocol.rlp import Item, encode, integer
from protocol.tries import ordered_root

CONTRACTS = Contracts(keccak256(b"ledger")[:20], keccak256(b"token")[:20])
_SENDER = LocalKey.derive(bytes(32), "sender")
_RAW, _ = sign_transaction(
    _SENDER,
    chain_id=1,
    nonce=0,
    to=checksum_address(CONTRACTS.ledger),
    data=b"abcd",
    gas=21_000,
    max_fee_wei=1,
    priority_fee_wei=1,
)


def encode_event(event: LedgerEvent) -> tuple[list[bytes], bytes]:
    """The topics and data that the ledger emits for it."""
    words = []
    for name, solidity in event.TYPES.items():
        value = getattr(event, name)
        if solidity == "address":
            words.append(bytes(12) + bytes.fromhex(value[2:]))
        else:
            words.append(value if isinstance(value, bytes) else int(value).to_bytes(32, "big"))
    topic = keccak256(signature(type(event)).encode())
    return [topic, *words[: event.INDEXED]], b"".join(words[event.INDEXED :])


def make_block(
    number: int, parent_hash: bytes, events: list[LedgerEvent], salt: bytes = b"", *, blind: bool = False
) -> VerifiedBlock:
    """A block with one transaction if it has events, and none otherwise; `blind`: its header's bloom is empty."""
    logs: list[Item] = []
    for event in events:
        topics, data = encode_event(event)
        logs.append([CONTRACTS.ledger, list(topics), data])
    # All bits: a bloom may say more than there is, and never less.
    bloom = b"\xff" * 256 if events else bytes(256)
    receipt = b"\x02" + encode([b"\x01", integer(50_000), bloom, logs])
    transactions, receipts = ((_RAW,), (receipt,)) if events else ((), ())
    header_rlp = encode(
        [
            parent_hash,
            bytes(32),
            bytes(20),
            bytes(32),
            ordered_root(list(transactions)),
            ordered_root(list(receipts)),
            bytes(256) if blind else bloom,
            b"",
            integer(number),
            integer(30_000_000),
            integer(50_000 * len(transactions)),
            integer(1_700_000_000 + number),
            salt,
            bytes(32),
            bytes(8),
        ]
    )
    header = parse_header(header_rlp)
    return VerifiedBlock.of_raw(header, header_rlp, transactions, receipts)


@dataclass
class RandomLedger:
    """Emits events that a real ledger could emit, by a few plain rules of its own."""

    random: Random
    free: dict[Address, int] = field(default_factory=dict)
    #: lease → [buyer, provider, locked, paid, open]
    leases: dict[bytes, list[object]] = field(default_factory=dict)
    held: int = 0
    made: int = 0

    def people(self) -> Address:
        return checksum_address(keccak256(bytes([self.random.randrange(4)]))[:20])

    def next(self) -> LedgerEvent:
        """One more event."""
        self.made += 1
        choice = self.random.randrange(6)
        account = self.people()
        if choice == 0 or self.free.get(account, 0) < 10:
            amount = self.random.randrange(1, 1000)
            self.free[account] = self.free.get(account, 0) + amount
            self.held += amount
            return Deposited(account, account, amount)
        if choice == 1:
            amount = self.random.randrange(1, self.free[account] + 1)
            self.free[account] -= amount
            self.held -= amount
            return Withdrawn(account, account, amount)
        running = [lease for lease, row in self.leases.items() if row[4]]
        if choice == 2 or not running:
            return self._open(account)
        return self._progress(self.random.choice(running))

    def _open(self, buyer: Address) -> LedgerEvent:
        provider, opener = self.people(), self.people()
        locked = self.random.randrange(1, self.free[buyer] - 2)
        self.free[buyer] -= locked + 1
        self.free[opener] = self.free.get(opener, 0) + 1
        lease = keccak256(b"lease" + self.made.to_bytes(8, "big") + self.random.randbytes(4))
        self.leases[lease] = [buyer, provider, locked, 0, True]
        order = keccak256(lease)
        return LeaseOpened(
            lease, buyer, provider, order, order, order, buyer, opener, 0, 1, 1, 5, locked, 0, 1, 2_000_000_000, 10
        )

    def _progress(self, lease: bytes) -> LedgerEvent:
        row = self.leases[lease]
        buyer, provider, locked, paid = row[0], row[1], row[2], row[3]
        assert isinstance(locked, int)
        assert isinstance(paid, int)
        assert isinstance(buyer, str)
        assert isinstance(provider, str)
        if paid < locked and self.random.random() < 0.7:
            amount = self.random.randrange(1, locked - paid + 1)
            row[3] = paid + amount
            self.free[Address(provider)] = self.free.get(Address(provider), 0) + amount
            return VoucherRedeemed(lease, Address(provider), amount, paid + amount, keccak256(lease), False)
        row[4] = False
        self.free[Address(buyer)] += locked - paid
        return LeaseClosed(lease, Address(buyer), Address(provider), EndReason.EXPIRED, paid, locked - paid, 0, 0, True)
