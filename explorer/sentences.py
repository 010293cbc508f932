"""A ledger event as a sentence in the words of DESIGN: decoded first, raw second.

Pure. A sentence is a tuple of parts, so that a page can link an account and JSON can print plain text.
"""

from enum import StrEnum
from typing import NamedTuple, assert_never

from explorer.spelling import REASONS, SKIPS, moment, short
from protocol.events import (
    Auction,
    BeneficiarySet,
    ClaimCommitted,
    DelegateApproved,
    DelegateCharged,
    Deposited,
    DisputeLapsed,
    EpochBumped,
    LeaseAcknowledged,
    LeaseClaimed,
    LeaseClosed,
    LeaseClosing,
    LeaseDisputed,
    LeaseOpened,
    LeaseRuled,
    LedgerEvent,
    MessageCancelled,
    Skipped,
    VoucherRedeemed,
    Withdrawn,
)
from protocol.hashing import ZERO_ADDRESS, ZERO_HASH
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
    # Most events are of leases, so they are looked for first.
    match event:
        case VoucherRedeemed() | LeaseOpened() | LeaseClosing() | LeaseClosed():
            return _of_lease(event)
        case Deposited() | Withdrawn():
            return _money(event)
        case DelegateApproved() | DelegateCharged():
            return _delegate(event)
        case MessageCancelled():
            return (_account(event.account), _text(" cancelled the offer or order "), _digest(event.digest))
        case EpochBumped():
            return (_account(event.account), _text(f" voided all that it had signed; its epoch is now {event.epoch}"))
        case BeneficiarySet():
            return _beneficiary(event)
        case Auction():
            return (_account(event.matcher), _text(" committed to the book "), _digest(event.book_root))
        case LeaseAcknowledged() | ClaimCommitted() | LeaseClaimed():
            return _answer(event)
        case LeaseDisputed() | LeaseRuled() | DisputeLapsed():
            return _of_dispute(event)
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


def _beneficiary(event: BeneficiarySet) -> Sentence:
    if event.beneficiary == ZERO_ADDRESS:
        return (_account(event.account), _text(" withdraws its own money again"))
    return (
        _text("Only "),
        _account(event.beneficiary),
        _text(" withdraws the money of "),
        _account(event.account),
        _text(" now"),
    )


def _answer(event: LeaseAcknowledged | ClaimCommitted | LeaseClaimed) -> Sentence:
    start = (_text("Provider "), _provider(event.provider))
    match event:
        case LeaseAcknowledged():
            return (*start, _text(" answered the close of lease "), _lease(event.lease))
        case ClaimCommitted():
            return (
                *start,
                _text(" committed to a result of lease "),
                _lease(event.lease),
                _text(", to be shown from "),
                _time(event.reveal_from),
                _text(" to "),
                _time(event.deadline),
            )
        case LeaseClaimed():
            return (
                *start,
                _text(" claims "),
                _amount(event.target),
                _text(" in all for lease "),
                _lease(event.lease),
                _text(" unless somebody objects before "),
                _time(event.deadline),
            )


def _of_dispute(event: LeaseDisputed | LeaseRuled | DisputeLapsed) -> Sentence:
    match event:
        case LeaseDisputed():
            what = "the claim" if event.receipt == ZERO_HASH else "a usage receipt"
            return (
                _account(event.challenger),
                _text(f" disputes {what} of lease "),
                _lease(event.lease),
                _text(" with "),
                _amount(event.bond),
                _text(" at stake"),
            )
        case LeaseRuled():
            winner = "provider" if event.provider_wins else "buyer"
            return (
                _text("Arbiter "),
                _account(event.arbiter),
                _text(f" ruled for the {winner} of lease "),
                _lease(event.lease),
                _text(": "),
                _amount(event.award),
                _text(" of the lock to the provider, "),
                _amount(event.to_winner),
                _text(" of the loser's bond to the winner, "),
                _amount(event.to_jurors),
                _text(" to the jurors"),
            )
        case DisputeLapsed():
            return (
                _text("The arbiter of lease "),
                _lease(event.lease),
                _text(" was silent: "),
                _amount(event.bond),
                _text(" returned to "),
                _account(event.challenger),
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
            bond = (_text(", "), _amount(event.penalty), _text(" of the provider's bond too")) if event.penalty else ()
            return (
                _text("Lease "),
                _lease(event.lease),
                _text(f" closed ({REASONS[event.reason]}): "),
                _amount(event.paid),
                _text(" paid, "),
                _amount(event.refunded),
                _text(" returned to buyer "),
                _account(event.buyer),
                *bond,
            )


def plain(parts: Sentence) -> str:
    """The sentence as text, hashes shortened."""
    return "".join([_plain(part) for part in parts])


def _plain(part: Part) -> str:
    if part.kind is Kind.TEXT:
        return str(part.value)
    if isinstance(part.value, int):
        return format_dollars(part.value) if part.kind is Kind.AMOUNT else moment(part.value)
    return short(part.value)
