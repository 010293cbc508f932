"""What to do about stored transactions, given what the chain shows: a pure function, without clock, node or database.

Whoever carries the actions out may die between any two of them, or in one after its effect: the next plan is made from
what is stored and what the chain shows then. Each action is harmless when it is done again (threats R1 to R5).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Final, TypeAlias

from backend.submission.fees import Fees, first_fees, raised_fees
from backend.submission.refusals import Answer


class State(StrEnum):
    """Of a stored transaction. Before it there is only a pending intent, shown as UNSENT."""

    SIGNED = "SIGNED"
    #: a node took one of its attempts
    SENT = "SENT"
    #: in a block that can still be replaced
    MINED = "MINED"
    FINAL = "FINAL"
    #: its cancel is final: the nonce is used and nothing was done by it
    CANCELLED = "CANCELLED"
    #: a transaction of this key that is not ours took the nonce
    DISPLACED = "DISPLACED"


UNDER_WAY: Final = (State.SIGNED, State.SENT)
MAX_GAS: Final = 2**24
"""Of one transaction; Ethereum takes no more since Fusaka (EIP-7825)."""

_PATIENCE_WITH_RECEIPTS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Signed bytes for a transaction's nonce, stored before they are broadcast."""

    tx_hash: str
    #: a transfer of nothing to ourselves, which only uses the nonce
    is_cancel: bool
    fees: Fees
    #: unix seconds, and the newest block then
    signed_time: int
    signed_block: int
    #: unix seconds of the newest broadcast
    broadcast_time: int | None = None
    answer: Answer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in the chain; `succeeded`, gas and price are of the transaction there, if it is ours."""

    block_number: int
    block_hash: str
    succeeded: bool = True
    gas_used: int = 0
    #: wei per gas
    price_wei: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One nonce of one key, with all attempts to use it, oldest first."""

    id: int
    nonce: int
    state: State
    attempts: tuple[Attempt, ...]
    #: where it was mined, or the head at which it was found displaced
    place: Place | None = None
    #: hash of the attempt that was mined
    mined_hash: str | None = None
    #: unix seconds since when the nonce is used and none of the attempts is there
    missing_since_time: int | None = None
    #: False once it is final
    watched: bool = True
    #: that its call may use
    gas: int = MAX_GAS


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What the chain shows to one key."""

    now_time: int
    head_number: int
    head_hash: str
    base_fee_wei: int
    #: transactions of the key up to the head
    nonce: int
    #: attempt hash → its place, where that block is part of the chain
    mined: Mapping[str, Place]
    #: attempt hashes that the node has heard of, in its pool or in a block
    known: frozenset[str]
    #: of the blocks asked about: those in the chain, and those that no reorg takes back
    canonical: frozenset[str]
    final: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Settings of the plan; fees in wei per gas."""

    priority_fee_wei: int = 10**9
    fee_cap_wei: int = 500 * 10**9
    #: an attempt unmined for so long, and for two blocks, is replaced; a broadcast that was not taken is repeated then
    replace_seconds: int = 10
    #: attempts to do it; then it is cancelled
    max_attempts: int = 6
    #: unmined transactions at once; more only wait in the node's pool
    in_flight: int = 16
    #: or so many, as long as all together use no more gas than this, which is a part of a block: the ledger closes and
    #: finalises one lease at a time, and when a grid fails there are hundreds
    small_in_flight: int = 64
    small_gas: int = 8_000_000

    @property
    def rebroadcast_seconds(self) -> int:
        """An attempt that the node took, and does not know, is broadcast again after so long."""
        return max(1, self.replace_seconds // 5)

    @property
    def displaced_seconds(self) -> int:
        """How long the nonce may be used by nobody knows whom before it counts as lost."""
        return max(1, self.replace_seconds * 3 // 5)

    @property
    def cancel_cap_wei(self) -> int:
        """A cancel uses less than a fifth of the gas, so that it may pay more for each."""
        return 4 * self.fee_cap_wei


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Hands the stored bytes to a node."""

    transaction: Transaction
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Replace:
    """Signs the same call with more fees."""

    transaction: Transaction
    fees: Fees


@dataclass(frozen=True, slots=True)
class Cancel:
    """Signs a transfer of nothing to ourselves with more fees."""

    transaction: Transaction
    fees: Fees


@dataclass(frozen=True, slots=True)
class Fill:
    """Signs a transfer of nothing to ourselves for a nonce that nothing stored uses, and later ones wait for."""

    nonce: int
    fees: Fees


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Stores what became of a transaction; `releases` gives its intents back, in the same database transaction."""

    transaction: Transaction
    state: State
    place: Place | None = None
    mined_hash: str | None = None
    missing_since_time: int | None = None
    watched: bool = True
    releases: bool = False
    #: the event to log as an error
    alarm: str | None = None


Action: TypeAlias = Broadcast | Replace | Cancel | Fill | Mark


def plan(transactions: Sequence[Transaction], view: View, rules: Rules) -> list[Action]:
    """At most one action for each. `transactions`: all watched ones, and all whose nonce the chain has not used."""
    ordered = sorted(transactions, key=lambda transaction: transaction.nonce)
    actions = [action for transaction in ordered for action in _about(transaction, view, rules)]
    return [*actions, *_gaps(ordered, view, rules)]


def next_nonce(transactions: Sequence[Transaction], view: View) -> int:
    """The lowest that neither the chain nor anything stored uses. The same `transactions` as for `plan`."""
    used, nonce = {transaction.nonce for transaction in transactions}, view.nonce
    while nonce in used:
        nonce += 1
    return nonce


def has_room(transactions: Sequence[Transaction], rules: Rules) -> bool:
    """Whether one more may be signed."""
    under_way = [transaction for transaction in transactions if transaction.state in UNDER_WAY]
    if any(_is_broke(transaction) for transaction in under_way):
        return False
    are_small = sum(transaction.gas for transaction in under_way) <= rules.small_gas
    return len(under_way) < (rules.small_in_flight if are_small else rules.in_flight)


def _is_broke(transaction: Transaction) -> bool:
    return transaction.attempts[-1].answer is Answer.FUNDS


def _about(transaction: Transaction, view: View, rules: Rules) -> Iterator[Action]:
    for attempt in transaction.attempts:
        if attempt.tx_hash in view.mined:
            yield from _mined(transaction, attempt, view)
            return
    if view.nonce > transaction.nonce:
        yield from _taken(transaction, view, rules)
    elif transaction.place is not None and view.head_number < transaction.place.block_number:
        # A node that is behind is no reorg; in a reorg to fewer blocks the bytes are not lost by it either.
        yield from _again(transaction, view, rules)
    elif transaction.state not in UNDER_WAY or transaction.missing_since_time is not None:
        alarm = None if transaction.watched else "transaction.final_undone"
        yield Mark(transaction=transaction, state=State.SENT, alarm=alarm)
    else:
        yield from _under_way(transaction, view, rules)


def _mined(transaction: Transaction, attempt: Attempt, view: View) -> Iterator[Action]:
    place = view.mined[attempt.tx_hash]
    final = place.block_hash in view.final
    end = State.CANCELLED if attempt.is_cancel else State.FINAL
    state = end if final else State.MINED
    now = (state, place.block_hash, attempt.tx_hash, not final)
    before = transaction.place and transaction.place.block_hash
    if now != (transaction.state, before, transaction.mined_hash, transaction.watched):
        yield Mark(
            transaction=transaction,
            state=state,
            place=place,
            mined_hash=attempt.tx_hash,
            watched=not final,
            releases=attempt.is_cancel,
        )


def _taken(transaction: Transaction, view: View, rules: Rules) -> Iterator[Action]:
    """The nonce is used, and no block that we know of has one of our attempts."""
    # A pool drops what can no longer be mined: one that the node knows is mined, and only its receipt is late.
    late = any(attempt.tx_hash in view.known for attempt in transaction.attempts)
    seconds = rules.displaced_seconds * (_PATIENCE_WITH_RECEIPTS if late else 1)
    head = Place(block_number=view.head_number, block_hash=view.head_hash)
    if transaction.state is State.DISPLACED:
        seen = transaction.place.block_hash if transaction.place else ""
        if seen in view.final:
            yield Mark(transaction=transaction, state=State.DISPLACED, place=transaction.place, watched=False)
        elif seen not in view.canonical:
            yield Mark(transaction=transaction, state=State.DISPLACED, place=head)
    elif transaction.missing_since_time is None:
        yield Mark(
            transaction=transaction,
            state=transaction.state,
            place=transaction.place,
            mined_hash=transaction.mined_hash,
            missing_since_time=view.now_time,
        )
    elif _waited(transaction.missing_since_time, view, seconds):
        yield Mark(
            transaction=transaction, state=State.DISPLACED, place=head, releases=True, alarm="transaction.displaced"
        )


def _under_way(transaction: Transaction, view: View, rules: Rules) -> Iterator[Action]:
    newest = transaction.attempts[-1]
    if newest.answer is Answer.NEVER and not newest.is_cancel:
        fees = raised_fees(newest.fees, view.base_fee_wei, rules.cancel_cap_wei)
        if fees is not None:
            yield Cancel(transaction, fees)
            return
    if newest.tx_hash in view.known and transaction.state is State.SIGNED:
        yield Mark(transaction=transaction, state=State.SENT)
    elif _is_stuck(transaction, newest, view, rules) and (raised := _raised(transaction, newest, view, rules)):
        yield raised
    else:
        yield from _again(transaction, view, rules)


def _is_stuck(transaction: Transaction, newest: Attempt, view: View, rules: Rules) -> bool:
    if newest.answer is Answer.FUNDS or not _waited(newest.signed_time, view, rules.replace_seconds):
        return False
    if newest.answer is Answer.UNDERPRICED:
        return True
    passed_over = view.head_number >= newest.signed_block + 2
    # Those behind the first wait for it, unless they could not be mined after it either.
    return passed_over and (transaction.nonce == view.nonce or newest.fees.max_fee_wei < view.base_fee_wei)


def _raised(transaction: Transaction, newest: Attempt, view: View, rules: Rules) -> Action | None:
    """More for the same; over the cap, or after too many attempts, a cancel; over that cap only patience is left."""
    carrying = sum(not attempt.is_cancel for attempt in transaction.attempts)
    if not newest.is_cancel and carrying < rules.max_attempts:
        fees = raised_fees(newest.fees, view.base_fee_wei, rules.fee_cap_wei)
        if fees is not None:
            return Replace(transaction, fees)
    fees = raised_fees(newest.fees, view.base_fee_wei, rules.cancel_cap_wei)
    return Cancel(transaction, fees) if fees is not None else None


def _again(transaction: Transaction, view: View, rules: Rules) -> Iterator[Action]:
    """Broadcasts what the node has not, or no longer."""
    newest = transaction.attempts[-1]
    if newest.tx_hash in view.known or newest.answer is Answer.UNDERPRICED:
        return
    patient = newest.answer not in (None, Answer.ACCEPTED, Answer.NONCE_LOW)
    seconds = rules.replace_seconds if patient else rules.rebroadcast_seconds
    if newest.broadcast_time is None or _waited(newest.broadcast_time, view, seconds):
        yield Broadcast(transaction, newest)


def _gaps(transactions: Sequence[Transaction], view: View, rules: Rules) -> Iterator[Action]:
    """Nonces that nothing stored uses, below one that waits for them: a foreign transaction left the chain."""
    used = {transaction.nonce for transaction in transactions}
    waiting = [transaction.nonce for transaction in transactions if transaction.state in UNDER_WAY]
    fees = first_fees(view.base_fee_wei, rules.priority_fee_wei, rules.cancel_cap_wei)
    if fees is not None:
        missing = (nonce for nonce in range(view.nonce, max(waiting, default=0)) if nonce not in used)
        yield from (Fill(nonce, fees) for nonce in islice(missing, rules.in_flight))


def _waited(since_time: int, view: View, seconds: int) -> bool:
    """A clock that was set back must not make anybody wait for it."""
    return not since_time <= view.now_time < since_time + seconds
