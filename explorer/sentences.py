"""A ledger event as a sentence in the words of DESIGN: decoded first, raw second.

Pure. A sentence is a text with the event's fields in it, so that a page can link an account and JSON can print plain
text. What a field is, and so how it is spelt and linked, follows from its type and its name.
"""

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import cache, lru_cache
from string import Formatter
from typing import Any, Final, NamedTuple

from explorer.spelling import REASONS, SKIPS, moment, short
from protocol.events import (
    EVENTS,
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


def _deposited(account: str, sender: str, amount: int) -> str:
    return "{sender} deposited {amount}" + ("" if sender == account else " for {account}")


def _withdrawn(account: str, to: str, amount: int) -> str:
    return "{account} withdrew {amount}" + ("" if to == account else " to {to}")


def _beneficiary(account: str, beneficiary: str) -> str:
    if beneficiary == ZERO_ADDRESS:
        return "{account} withdraws its own money again"
    return "Only {beneficiary} withdraws the money of {account} now"


def _approved(buyer: str, key: str, cap: int, until: int) -> str:
    if cap == 0:
        return "Buyer {buyer} revoked key {key}"
    return "Buyer {buyer} allowed key {key} to commit up to {cap} until {until}"


def _redeemed(*fields: Any) -> str:
    if fields[-1]:
        return "Provider {provider} was paid {amount} for lease {lease}, whose result was accepted"
    return "Provider {provider} was paid {amount} for lease {lease}"


def _disputed(lease: bytes, challenger: str, receipt: bytes, bond: int, deadline: int) -> str:
    what = "the claim" if receipt == ZERO_HASH else "a usage receipt"
    return "{challenger} disputes " + what + " of lease {lease} with {bond} at stake"


def _ruled(lease: bytes, arbiter: str, challenger: str, provider_wins: bool, *amounts: int) -> str:
    winner = "provider" if provider_wins else "buyer"
    return (
        "Arbiter {arbiter} ruled for the " + winner + " of lease {lease}: {award} of the lock to the provider, "
        "{to_winner} of the loser's bond to the winner, {to_jurors} to the jurors"
    )


def _closed(
    lease: bytes, buyer: str, provider: str, reason: int, paid: int, refunded: int, penalty: int, *_: Any
) -> str:
    bond = ", {penalty} of the provider's bond too" if penalty else ""
    return "Lease {lease} closed ({reason}): {paid} paid, {refunded} returned to buyer {buyer}" + bond


_SAYS: Final[dict[type[LedgerEvent], str | Callable[..., str]]] = {
    Deposited: _deposited,
    Withdrawn: _withdrawn,
    BeneficiarySet: _beneficiary,
    DelegateApproved: _approved,
    DelegateCharged: (
        "Key {key} committed {amount} of buyer {buyer} to order {order}; {remaining} of its cap are left"
    ),
    MessageCancelled: "{account} cancelled the offer or order {digest}",
    EpochBumped: "{account} voided all that it had signed; its epoch is now {epoch}",
    Auction: "{matcher} committed to the book {book_root}",
    LeaseOpened: "Provider {provider} began to serve buyer {buyer} with {locked} locked for lease {lease}",
    VoucherRedeemed: _redeemed,
    LeaseClosing: "{by} ended lease {lease} ({reason}); its notice runs until {deadline}",
    LeaseAcknowledged: "Provider {provider} answered the close of lease {lease}",
    ClaimCommitted: (
        "Provider {provider} committed to a result of lease {lease}, to be shown from {reveal_from} to {deadline}"
    ),
    LeaseClaimed: (
        "Provider {provider} claims {target} in all for lease {lease} unless somebody objects before {deadline}"
    ),
    LeaseDisputed: _disputed,
    LeaseRuled: _ruled,
    DisputeLapsed: "The arbiter of lease {lease} was silent: {bond} returned to {challenger}",
    LeaseClosed: _closed,
    Skipped: "The ledger passed over {id}: {reason}",
}
"""The text, or what chooses it by the event's fields in their order."""


def sentence(event: LedgerEvent) -> Sentence:
    """What happened, for somebody who has never seen the contract."""
    kind, fields = type(event), [getattr(event, name) for name in event.TYPES]
    parts: list[Part] = []
    for piece in _pieces(kind.__name__, _text(kind, fields)):
        if isinstance(piece, str):
            part = Part(Kind.TEXT, piece)
        elif piece.kind is Kind.TEXT:
            part = Part(Kind.TEXT, piece.spell(fields[piece.place]))
        else:
            part = Part(piece.kind, fields[piece.place])
        if part.kind is Kind.TEXT and parts and parts[-1].kind is Kind.TEXT:
            part = Part(Kind.TEXT, f"{parts.pop().value!s}{part.value!s}")
        parts.append(part)
    return tuple(parts)


def told(kind: type[LedgerEvent], fields: Sequence[Any]) -> str:
    """The sentence of an event with these fields as plain text, hashes shortened."""
    pattern, spellings = _pattern(kind.__name__, _text(kind, fields))
    return pattern % tuple([spell(fields[place]) for place, spell in spellings])


def plain(parts: Sentence) -> str:
    """The sentence as text, hashes shortened."""
    return "".join([str(_SPELT[part.kind](part.value)) for part in parts])


@lru_cache(maxsize=65_536)
def _short_account(account: str) -> str:
    """As `short`; the same accounts come again and again."""
    return short(account)


def _short_hash(data: bytes) -> str:
    """As `short`, of 32 bytes; most of what is spelt are these."""
    return f"0x{data[:2].hex()}…{data[-2:].hex()}"


def _text(kind: type[LedgerEvent], fields: Sequence[Any]) -> str:
    says = _SAYS[kind]
    return says if isinstance(says, str) else says(*fields)


_SPELT: Final[dict[Kind, Callable[[Any], str]]] = {
    Kind.TEXT: str,
    Kind.ACCOUNT: _short_account,
    Kind.PROVIDER: _short_account,
    Kind.LEASE: _short_hash,
    Kind.DIGEST: _short_hash,
    Kind.AMOUNT: format_dollars,
    Kind.TIME: moment,
}


class _Field(NamedTuple):
    """A field of an event."""

    place: int
    kind: Kind
    spell: Callable[[Any], str]


def _field(place: int, name: str, solidity: str) -> _Field:
    kind = Kind.TIME if solidity == "uint40" else Kind.AMOUNT
    if solidity in _WORDS or name == "epoch":
        kind = Kind.TEXT
    elif solidity == "address":
        kind = Kind.PROVIDER if name == "provider" else Kind.ACCOUNT
    elif solidity == "bytes32":
        kind = Kind.LEASE if name in ("lease", "id") else Kind.DIGEST
    return _Field(place, kind, _WORDS.get(solidity, _SPELT[kind]))


_WORDS: Final[dict[str, Callable[[Any], str]]] = {"EndReason": REASONS.__getitem__, "Skip": SKIPS.__getitem__}
_FIELDS: Final = {
    kind.__name__: {name: _field(place, name, solidity) for place, (name, solidity) in enumerate(kind.TYPES.items())}
    for kind in EVENTS
}


@cache
def _pieces(event: str, text: str) -> list[str | _Field]:
    """The words of a text and the fields between them."""
    pieces: list[str | _Field] = []
    for words, name, _, _ in Formatter().parse(text):
        pieces += [words] if words else []
        pieces += [_FIELDS[event][name]] if name is not None else []
    return pieces


@cache
def _pattern(event: str, text: str) -> tuple[str, list[tuple[int, Callable[[Any], str]]]]:
    """A text to be filled in by `%`, and with what: that is twice as fast as to join its parts."""
    pieces = _pieces(event, text)
    pattern = "".join([piece.replace("%", "%%") if isinstance(piece, str) else "%s" for piece in pieces])
    return pattern, [(piece.place, piece.spell) for piece in pieces if not isinstance(piece, str)]
