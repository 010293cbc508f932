"""What the fold of the ledger's events knows of accounts, delegates, leases and claims, and what it changes. Pure.

Each of these begins with its key and ends with the cells of its version in the mirror, in the table's order.
"""

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from indexer.facts import CancelledFact, DisputeFact, PaymentFact, Row
from protocol.events import EndReason, LeaseState
from protocol.hashing import ZERO_HASH

NOBODY = bytes(20)

#: of an account, a lease or a claim; of a delegate its buyer's and its own
Key = bytes | tuple[bytes, bytes]


class Account(NamedTuple):
    """Base units."""

    account: bytes
    free_base: int = 0
    #: as a buyer: Σ (locked − paid) of leases that are not Closed
    locked_base: int = 0
    bonded_base: int = 0
    open_leases: int = 0
    epoch: int = 0
    #: a beneficiary is set
    guarded: bool = False
    #: who alone withdraws; zero = the account itself
    beneficiary: bytes = NOBODY


class Delegate(NamedTuple):
    """What a key may still commit of its buyer's."""

    buyer: bytes
    key: bytes
    remaining_base: int
    #: unix seconds
    until_time: int


class Lease(NamedTuple):
    """What changes of a lease, with both sides and the lock to check it by."""

    lease: bytes
    buyer: bytes
    provider: bytes
    locked_base: int
    #: of the provider
    bond_base: int
    paid_base: int = 0
    refunded_base: int = 0
    #: unix seconds; of the duration while OPEN, the notice while CLOSING, the window while CLAIMED …
    deadline_time: int = 0
    state: LeaseState = LeaseState.OPEN
    reason: EndReason = EndReason.NONE
    done: bool = False
    #: ended by the buyer's side before its duration
    early: bool = False
    #: the provider acknowledged or claimed
    responded: bool = False
    #: of the bond, to the buyer
    penalty_base: int = 0
    closed_block: int | None = None
    closed_tx: bytes | None = None


class Claim(NamedTuple):
    """What a provider asks for a lease; a commitment to it at first where `reveal_time` is not 0."""

    lease: bytes
    result: bytes
    start: bytes = ZERO_HASH
    #: raw, cumulative
    work: int = 0
    target_base: int = 0
    #: unix seconds
    reveal_time: int = 0
    last: bool = False


class Rows(Protocol):
    """Where a book finds what it did not make itself."""

    def account(self, account: bytes) -> Account | None: ...
    def delegate(self, buyer: bytes, key: bytes) -> Delegate | None: ...
    def lease(self, lease: bytes) -> Lease | None: ...


class NoRows:
    """Before the first event."""

    def account(self, account: bytes) -> Account | None:
        return None

    def delegate(self, buyer: bytes, key: bytes) -> Delegate | None:
        return None

    def lease(self, lease: bytes) -> Lease | None:
        return None


@dataclass(slots=True)
class Changes:
    """What one block changed. Versions by key with the seq of their last event; the others are rows to add."""

    accounts: dict[bytes, tuple[Account, int]] = field(default_factory=dict)
    delegates: dict[tuple[bytes, bytes], tuple[Delegate, int]] = field(default_factory=dict)
    leases: dict[bytes, tuple[Lease, int]] = field(default_factory=dict)
    claims: dict[bytes, tuple[Claim, int]] = field(default_factory=dict)
    parties: list[Row] = field(default_factory=list)
    #: leases that opened
    begun: list[bytes] = field(default_factory=list)
    payments: list[PaymentFact] = field(default_factory=list)
    cancelled: list[CancelledFact] = field(default_factory=list)
    disputes: list[DisputeFact] = field(default_factory=list)
