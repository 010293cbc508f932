"""Ledger events as sentences, for people who check a payment."""

from client.cli.console import moment
from protocol.events import (
    DelegateApproved,
    Deposited,
    LeaseClosed,
    LeaseClosing,
    LeaseOpened,
    LedgerEvent,
    VoucherRedeemed,
    Withdrawn,
    to_json,
)
from protocol.hashing import to_hex
from protocol.units import format_dollars


def words(event: LedgerEvent) -> str:
    """The event as a sentence."""
    match event:
        case VoucherRedeemed():
            last = "; the result was accepted" if event.last else ""
            return (
                f"Provider {event.provider} was paid {format_dollars(event.amount)} under lease {to_hex(event.lease)}, "
                f"{format_dollars(event.paid)} in all{last}. Result {to_hex(event.result)}."
            )
        case LeaseOpened():
            return (
                f"Buyer {event.buyer} leased from provider {event.provider} and {format_dollars(event.locked)} were "
                f"locked for it: lease {to_hex(event.lease)}, job {to_hex(event.job)}."
            )
        case LeaseClosing():
            return (
                f"Lease {to_hex(event.lease)} began its notice ({event.reason.name.lower()}), until "
                f"{moment(event.deadline)}."
            )
        case LeaseClosed():
            return (
                f"Lease {to_hex(event.lease)} ended ({event.reason.name.lower()}): {format_dollars(event.paid)} paid, "
                f"{format_dollars(event.refunded)} back to buyer {event.buyer}."
            )
        case Deposited():
            return f"{event.sender} deposited {format_dollars(event.amount)} for {event.account}."
        case Withdrawn():
            return f"{event.account} withdrew {format_dollars(event.amount)} to {event.to}."
        case DelegateApproved():
            cap = f"{format_dollars(event.cap)} at most, until {moment(event.until)}"
            return f"{event.buyer} let {event.key} commit {cap}."
        case _:
            said = ", ".join(f"{name} {value}" for name, value in to_json(event).items())
            return f"{type(event).__name__}: {said}."
