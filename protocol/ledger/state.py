"""What the ledger remembers, who calls it, and what a call comes to (SPEC "Leases", "Money flow").

Amounts are base units (10⁻⁶ of the token), rates pico-dollars (10⁻⁶ base units) per metered unit, times unix seconds.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import wraps
from typing import Concatenate, Final, ParamSpec, Protocol, TypeVar

from protocol.events import EndReason, LeaseState, LedgerEvent, Skip
from protocol.hashing import ZERO_ADDRESS, ZERO_HASH, Address
from protocol.messages import Domain

ARBITER_SECONDS: Final = 14 * 24 * 3600
"""How long an arbiter has to decide."""
MAX_CREDITS: Final = 2**64 - 1
"""Base units that the ledger may hold in all, so that no balance can overflow its 64 bits."""


class LedgerError(StrEnum):
    """Why a whole call is refused: the names of the contracts' errors."""

    ZERO_ADDRESS = "ComputeLedger_ZeroAddress"
    ZERO_AMOUNT = "ComputeLedger_ZeroAmount"
    TRANSFER_FAILED = "ComputeLedger_TransferFailed"
    AMOUNT_TOO_LARGE = "ComputeLedger_AmountTooLarge"
    INSUFFICIENT_FREE = "ComputeLedger_InsufficientFree"
    NOT_CONTROLLER = "ComputeLedger_NotController"
    GUARDED = "ComputeLedger_Guarded"
    WRONG_ORDER = "ComputeLedger_WrongOrder"
    NOT_BUYER_SIDE = "ComputeLedger_NotBuyerSide"
    NOT_PROVIDER = "ComputeLedger_NotProvider"
    NOT_ARBITER = "ComputeLedger_NotArbiter"
    REASON_NOT_ALLOWED = "ComputeLedger_ReasonNotAllowed"
    WRONG_STATE = "ComputeLedger_WrongState"
    DEADLINE_NOT_REACHED = "ComputeLedger_DeadlineNotReached"
    DEADLINE_PASSED = "ComputeLedger_DeadlinePassed"
    NOT_CLAIMABLE = "ComputeLedger_NotClaimable"
    WRONG_COMMITMENT = "ComputeLedger_WrongCommitment"
    WRONG_START = "ComputeLedger_WrongStart"
    RECEIPT_SIGNATURE = "ComputeLedger_ReceiptSignature"
    RULING_TOO_LARGE = "ComputeLedger_RulingTooLarge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Who calls, and in which block."""

    caller: Address
    #: unix seconds of the block
    time: int
    #: hash of the block before, and the beacon's randomness: what makes an epoch jump unpredictable
    parent_hash: bytes = ZERO_HASH
    randomness: bytes = ZERO_HASH


@dataclass(frozen=True, slots=True)
class Done:
    """The call went through."""

    #: what it returned: leases opened, vouchers redeemed, leases closed, the new epoch; 0 where it returns nothing
    value: int = 0
    #: for each item of a batch, why it was passed over, or NONE
    items: tuple[Skip, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """The call reverted and changed nothing."""

    #: a `LedgerError` or `RegistryError`, or the token's own error
    error: str


Outcome = Done | Refused


class Refusal(Exception):
    """Raised where a check fails, before any effect; `whole_call` turns it into the outcome."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


class Revertible(Protocol):
    """Something whose calls succeed or leave no trace."""

    def keep(self) -> None:
        """The call went through."""

    def undo(self) -> None:
        """The call was refused: what it had moved outside is as before."""


P = ParamSpec("P")
S = TypeVar("S", bound=Revertible)


def require(holds: bool, error: str) -> None:
    """A check: the call is refused unless it holds."""
    if not holds:
        raise Refusal(error)


def whole_call(rule: Callable[Concatenate[S, P], Done | None]) -> Callable[Concatenate[S, P], Outcome]:
    """A rule as one call: done, or refused with the error's name."""

    @wraps(rule)
    def call(state: S, /, *arguments: P.args, **named: P.kwargs) -> Outcome:
        try:
            outcome = rule(state, *arguments, **named) or Done()
        except Refusal as refusal:
            state.undo()
            return Refused(refusal.error)
        state.keep()
        return outcome

    return call


class Token(Protocol):
    """The stablecoin: not the ledger's, so its behaviour is passed in."""

    def keep(self) -> None: ...

    def undo(self) -> None: ...

    def balance_of(self, who: Address) -> int: ...

    def transfer(self, sender: Address, to: Address, amount: int) -> bool: ...

    def transfer_from(self, spender: Address, owner: Address, to: Address, amount: int) -> bool: ...

    def permit(self, owner: Address, spender: Address, amount: int, deadline: int, time: int, signature: bytes) -> bool:
        """EIP-2612: sets the allowance; False if it reverts."""

    def receive_with_authorization(
        self,
        owner: Address,
        to: Address,
        amount: int,
        valid_after: int,
        valid_before: int,
        nonce: bytes,
        time: int,
        signature: bytes,
    ) -> None:
        """EIP-3009: moves the money; raises `Refusal` with the token's own error."""


@dataclass(slots=True)
class Account:
    """What one address has in the ledger."""

    #: base units that can be withdrawn or locked
    free: int = 0
    #: base units held as bonds: of leases that are not Closed, and of challenges
    bonded: int = 0
    #: leases that it serves as provider and that are not Closed
    open_leases: int = 0
    #: messages signed for another epoch are void
    epoch: int = 0
    #: who alone withdraws and changes this; zero = the account itself
    beneficiary: Address = ZERO_ADDRESS

    @property
    def guarded(self) -> bool:
        """A beneficiary is set: the account's own key can neither withdraw, nor buy, nor challenge."""
        return self.beneficiary != ZERO_ADDRESS


@dataclass(slots=True)
class Delegate:
    """A key that may sign orders in a buyer's name."""

    #: base units that it may still commit
    remaining: int
    #: unix seconds; live while time < until
    until: int


@dataclass(slots=True, kw_only=True)
class Lease:
    """An agreement; its order's terms are passed again whenever they are needed."""

    #: who is paid
    provider: Address
    #: base units of the buyer held for it
    locked: int
    #: base units of those already paid
    paid: int = 0
    #: whose vouchers pay
    voucher_signer: Address
    #: unix seconds: of the duration while Open, then of the notice, of the challenge window, of the arbiter
    deadline: int
    #: the offer's, pico-dollars per metered unit
    rate: int
    #: the offer's grid zone
    zone: int
    state: LeaseState = LeaseState.OPEN
    #: NONE while it runs
    reason: EndReason = EndReason.NONE
    #: its lane has the result or was cancelled: no later fill opens
    done: bool = False
    #: the buyer's side ended it before its duration: the minimum charge is due
    early: bool = False
    #: the provider acknowledged the close, or claimed
    responded: bool = False

    def state_at(self, time: int) -> LeaseState:
        """An Open lease past its duration is Closing without a transaction."""
        if self.state is LeaseState.OPEN and time >= self.deadline:
            return LeaseState.CLOSING
        return self.state

    def deadline_at(self, time: int, notice: int) -> int:
        """When the present state ends for good; a notice that began by itself counts from the end of the duration."""
        if self.state is LeaseState.OPEN and time >= self.deadline:
            return self.deadline + notice
        return self.deadline

    def expire(self, time: int) -> None:
        """Writes down what time alone has done: the duration is over, the lane is done, the notice runs."""
        if self.state_at(time) is not self.state:
            self.state, self.reason, self.done = LeaseState.CLOSING, EndReason.EXPIRED, True

    def is_done(self, time: int) -> bool:
        """No later fill of the lane opens; so too once its duration has ended it."""
        return self.done or self.state_at(time) is not self.state

    def due(self, cumulative: int) -> int:
        """Base units that a cumulative amount still pays, never more than the lock."""
        return max(0, min(cumulative, self.locked) - self.paid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a provider asks for without a voucher."""

    #: the claimed result; the commitment while there is one to reveal
    result: bytes
    #: checkpoint that the lease started at, or zero
    start: bytes = ZERO_HASH
    #: raw, cumulative for the lease
    work: int = 0
    #: base units that the provider is to have in all if the claim stands
    target: int = 0
    #: unix seconds from which the commitment can be revealed; 0 when there is nothing to reveal
    reveal_from: int = 0
    #: it claims the end of the job
    last: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A challenge that the arbiter decides."""

    #: whose bond stands against the provider's
    challenger: Address
    #: base units
    bond: int
    #: digest of the usage receipt in dispute; zero = the claim
    receipt: bytes


class Attestations(Protocol):
    """The registry as the ledger reads it."""

    def is_attested(self, auditor: Address, provider: Address, traits: int, zone: int, until: int) -> bool: ...


Wallets = Mapping[Address, Callable[[bytes, bytes], bool]]
"""Contracts that sign by ERC-1271: whether each takes a signature (65 bytes or any other) of a digest for its own."""


@dataclass(slots=True, kw_only=True)
class Ledger:
    """The whole ledger."""

    #: where signatures count
    domain: Domain
    #: seconds; the shortest notice and challenge window of an order
    min_notice: int
    token: Token
    registry: Attestations
    wallets: Wallets = field(default_factory=dict)
    accounts: defaultdict[Address, Account] = field(default_factory=lambda: defaultdict(Account))
    delegates: dict[tuple[Address, Address], Delegate] = field(default_factory=dict)
    #: (account, digest) of voided offers and orders
    cancelled: set[tuple[Address, bytes]] = field(default_factory=set)
    leases: dict[bytes, Lease] = field(default_factory=dict)
    claims: dict[bytes, Claim] = field(default_factory=dict)
    disputes: dict[bytes, Dispute] = field(default_factory=dict)
    #: in the order of their emission
    events: list[LedgerEvent] = field(default_factory=list)

    @property
    def address(self) -> Address:
        return self.domain.ledger

    def keep(self) -> None:
        self.token.keep()

    def undo(self) -> None:
        """Checks come before effects, so only the token can have moved."""
        self.token.undo()

    def owed(self) -> int:
        """Σ free + Σ bonded + what running leases still hold: equals all deposits less all withdrawals."""
        balances = sum(account.free + account.bonded for account in self.accounts.values())
        running = (lease for lease in self.leases.values() if lease.state is not LeaseState.CLOSED)
        return balances + sum(lease.locked - lease.paid for lease in running)
