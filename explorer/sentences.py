"""A ledger event as a sentence in the words of DESIGN: decoded first, raw second.

Pure. A sentence is a tuple of parts, so that a page can link an account and JSON can print plain text.
"""

from enum import StrEnum
from typing import NamedTuple, assert_never

from explorer.spelling import REASONS, SKIPS, moment, short
from protocol.events import (
    DelegateApproved,
    DelegateCharged,
    Deposited,
    EpochBumped,
    LeaseClosed,
    LeaseClosing,
    LeaseOpened,
    LedgerEvent,
    MessageCancelled,
    Skipped,
    VoucherRedeemed,
    Withdrawn,
)
from protocol.units import format_dollars


class Kind(StrEnum):
    """What a part is, and so how a page links it."""

    TEXT = "text"
    ACCOUNT = "account"
    PROVIDER = "provider"
    LEASE = "lease"
    DIGEST = "digest"
    AMOUNT = "amount"
    TIME = "time"


class Part(NamedTuple):
    """`value` is text, an address, 32 bytes, base units or unix seconds, by `kind`."""

    kind: Kind
    value: str | bytes | int


Sentence = tuple[Part, ...]


def _text(words: str) -> Part:
    return Part(Kind.TEXT, words)


def _account(address: str) -> Part:
    return Part(Kind.ACCOUNT, address)


def _provider(address: str) -> Part:
    return Part(Kind.PROVIDER, address)


def _lease(lease: bytes) -> Part:
    return Part(Kind.LEASE, lease)


def _digest(digest: bytes) -> Part:
    return Part(Kind.DIGEST, digest)


def _amount(base: int) -> Part:
    return Part(Kind.AMOUNT, base)


def _time(time: int) -> Part:
    return Part(Kind.TIME, time)


def sentence(event: LedgerEvent) -> Sentence:
    """What happened, for somebody who has never seen the contract."""
    match event:
        case Deposited() | Withdrawn():
            return _money(event)
        case DelegateApproved() | DelegateCharged():
            return _delegate(event)
        case MessageCancelled():
            return (_account(event.account), _text(" cancelled the offer or order "), _digest(event.digest))
        case EpochBumped():
            return (_account(event.account), _text(f" voided all that it had signed; its epoch is now {event.epoch}"))
        case LeaseOpened() | VoucherRedeemed() | LeaseClosing() | LeaseClosed():
            return _of_lease(event)
        case Skipped():
            return (_text("The ledger passed over "), _lease(event.id), _text(f": {SKIPS[event.reason]}"))
        case _:
            assert_never(event)


def _money(event: Deposited | Withdrawn) -> Sentence:
    if isinstance(event, Deposited):
        start = (_account(event.sender), _text(" deposited "), _amount(event.amount))
        return start if event.sender == event.account else (*start, _text(" for "), _account(event.account))
    start = (_account(event.account), _text(" withdrew "), _amount(event.amount))
    return start if event.to == event.account else (*start, _text(" to "), _account(event.to))


def _delegate(event: DelegateApproved | DelegateCharged) -> Sentence:
    if isinstance(event, DelegateCharged):
        return (
            _text("Key "),
            _account(event.key),
            _text(" committed "),
            _amount(event.amount),
            _text(" of buyer "),
            _account(event.buyer),
            _text(" to order "),
            _digest(event.order),
            _text("; "),
            _amount(event.remaining),
            _text(" of its cap are left"),
        )
    if event.cap == 0:
        return (_text("Buyer "), _account(event.buyer), _text(" revoked key "), _account(event.key))
    return (
        _text("Buyer "),
        _account(event.buyer),
        _text(" allowed key "),
        _account(event.key),
        _text(" to commit up to "),
        _amount(event.cap),
        _text(" until "),
        _time(event.until),
    )


def _of_lease(event: LeaseOpened | VoucherRedeemed | LeaseClosing | LeaseClosed) -> Sentence:
    match event:
        case LeaseOpened():
            return (
                _text("Provider "),
                _provider(event.provider),
                _text(" began to serve buyer "),
                _account(event.buyer),
                _text(" with "),
                _amount(event.locked),
                _text(" locked for lease "),
                _lease(event.lease),
            )
        case VoucherRedeemed():
            tail = (_text(", whose result was accepted"),) if event.last else ()
            return (
                _text("Provider "),
                _provider(event.provider),
                _text(" was paid "),
                _amount(event.amount),
                _text(" for lease "),
                _lease(event.lease),
                *tail,
            )
        case LeaseClosing():
            return (
                _account(event.by),
                _text(" ended lease "),
                _lease(event.lease),
                _text(f" ({REASONS[event.reason]}); its notice runs until "),
                _time(event.deadline),
            )
        case LeaseClosed():
            return (
                _text("Lease "),
                _lease(event.lease),
                _text(f" closed ({REASONS[event.reason]}): "),
                _amount(event.paid),
                _text(" paid, "),
                _amount(event.refunded),
                _text(" returned to buyer "),
                _account(event.buyer),
            )


def plain(parts: Sentence) -> str:
    """The sentence as text, hashes shortened."""
    return "".join(_plain(part) for part in parts)


def _plain(part: Part) -> str:
    if part.kind is Kind.TEXT:
        return str(part.value)
    if isinstance(part.value, int):
        return format_dollars(part.value) if part.kind is Kind.AMOUNT else moment(part.value)
    return short(part.value)
