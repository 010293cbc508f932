"""Where a lease stands at a chain time, and the story that its events tell. Pure.

The stored state lags behind the clock: an Open lease past its deadline is Closing without a transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from explorer.sentences import Sentence, sentence
from indexer.queries import EventRow, LeaseRow, Place
from protocol.events import (
    ClaimCommitted,
    DisputeLapsed,
    LeaseAcknowledged,
    LeaseClaimed,
    LeaseClosed,
    LeaseClosing,
    LeaseDisputed,
    LeaseOpened,
    LeaseRuled,
    LeaseState,
    LedgerEvent,
    VoucherRedeemed,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A lease as it counts now."""

    state: LeaseState
    #: base units that are neither paid nor refunded
    remaining_base: int
    #: unix seconds at which this state ends by itself; None once closed
    until_time: int | None
    #: notice, window or the arbiter's time is over: anyone may finalise
    due: bool

    @property
    def is_closed(self) -> bool:
        return self.state is LeaseState.CLOSED


def standing(lease: LeaseRow, time: int) -> Standing:
    """The state that counts at `time`, as the contract's `stateOf` gives it."""
    state, until = lease.state, lease.deadline_time
    if state is LeaseState.OPEN and time >= until:
        state, until = LeaseState.CLOSING, until + lease.notice_seconds
    closed = state is LeaseState.CLOSED
    return Standing(
        state=state,
        remaining_base=lease.locked_base - lease.paid_base - lease.refunded_base,
        until_time=None if closed else until,
        due=state not in (LeaseState.OPEN, LeaseState.CLOSED) and time >= until,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One step of a lease's timeline."""

    #: opened · paid · accepted · closing · claimed · disputed · closed · skipped
    mark: str
    title: str
    says: Sentence
    row: EventRow


def timeline(rows: Sequence[EventRow]) -> list[Chapter]:
    """A lease's events, oldest first; orphaned ones stay in their place."""
    ordered = sorted(rows, key=lambda row: (row.block_number, row.log_index, row.canonical))
    return [
        Chapter(mark=mark, title=title, says=sentence(row.event), row=row)
        for row in ordered
        for mark, title in [_mark(row.event)]
    ]


def _mark(event: LedgerEvent) -> tuple[str, str]:
    match event:
        case LeaseOpened():
            return "opened", "Opened"
        case VoucherRedeemed(last=True):
            return "accepted", "Result accepted"
        case VoucherRedeemed():
            return "paid", "Paid by voucher"
        case LeaseClosing():
            return "closing", "Notice began"
        case LeaseAcknowledged():
            return "closing", "Close answered"
        case ClaimCommitted():
            return "claimed", "Result committed"
        case LeaseClaimed():
            return "claimed", "Claimed"
        case LeaseDisputed():
            return "disputed", "Challenged"
        case LeaseRuled():
            return "disputed", "Ruled"
        case DisputeLapsed():
            return "disputed", "Arbiter silent"
        case LeaseClosed():
            return "closed", "Closed"
    return "skipped", "Passed over"


def result_of(rows: Sequence[EventRow]) -> bytes | None:
    """The result hash that a `last` voucher accepted, if one did."""
    for row in rows:
        if row.canonical and isinstance(row.event, VoucherRedeemed) and row.event.last:
            return row.event.result
    return None


def closings_of(rows: Sequence[EventRow]) -> set[Place]:
    """Where the lease closed: a payment in such a place came of no voucher."""
    return {(row.block_number, row.log_index) for row in rows if isinstance(row.event, LeaseClosed)}
