"""An auction checked by somebody who does not trust its matcher: the book, the rule and the leases, side by side.

Pure. What it is given comes from the chain (root, leases), from the market (snapshot) and from whoever asks (receipts).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from backend.matching.policy import match
from backend.matching.snapshot import Snapshot
from protocol.errors import ProtocolError
from protocol.events import LeaseOpened
from protocol.hashing import to_hex
from protocol.ids import lease_id
from protocol.messages import Domain, digest, recover
from protocol.terms import BookReceipt, Offer, Order


class Fault(StrEnum):
    """What a matcher can do wrong, seen from outside."""

    ROOT = "root"
    BOUND = "bound"
    SIGNATURE = "signature"
    DROPPED = "dropped"
    OTHER_OFFER = "other offer"
    NOT_BY_THE_RULE = "not by the rule"
    NOT_SENT = "not sent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as the rule and the receipts say."""

    fault: Fault
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the ledger says of the auction."""

    #: books that the matcher committed to
    roots: frozenset[bytes]
    #: by the transactions with this book's root
    opened: tuple[LeaseOpened, ...]
    #: leases that it was asked for and passed over
    skipped: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldReceipt:
    """A book receipt with what it is for: what a provider or buyer keeps."""

    receipt: BookReceipt
    #: 65 bytes
    signature: bytes
    message: Offer | Order

    def require(self, domain: Domain) -> None:
        """Raises `ProtocolError` unless the matcher signed it, and for this message."""
        if digest(domain, self.message) != self.receipt.hash:
            raise ProtocolError(f"the receipt is for {to_hex(self.receipt.hash)}, not for the message beside it")
        signer = recover(domain, self.receipt, self.signature)
        if signer != self.receipt.matcher:
            raise ProtocolError(f"the receipt names the matcher {self.receipt.matcher} and was signed by {signer}")


def audit(
    snapshot: Snapshot,
    outcome: Outcome | None,
    receipts: Iterable[HeldReceipt] = (),
    earlier: Iterable[Snapshot] = (),
) -> list[Finding]:
    """All that is wrong; empty if nothing is. Without an outcome only book and receipts are held to each other.

    `earlier`: books of which the market says that they told what left for good, of what is `untold` in this one.
    Raises `ProtocolError` for a receipt that its matcher did not sign, or that is another matcher's.
    """
    findings = [*_forged(snapshot), *_dropped(snapshot, receipts, _left_before(snapshot, outcome, earlier))]
    if outcome is None:
        return findings
    root = snapshot.root()
    if root not in outcome.roots:
        words = f"no Auction of {snapshot.matcher} on chain commits to this book, whose root is {to_hex(root)}"
        return [Finding(fault=Fault.ROOT, words=words), *findings]
    return [*findings, *_misruled(snapshot, outcome)]


def _forged(snapshot: Snapshot) -> list[Finding]:
    """Offers that nobody made would let a matcher say that one was cheaper than another."""
    return [
        Finding(fault=Fault.SIGNATURE, words=f"offer {to_hex(entry.digest)} is not signed by {entry.offer.provider}")
        for entry in snapshot.offers
        if not _is_signed(snapshot.domain, entry.offer, entry.signature)
    ]


def _is_signed(domain: Domain, offer: Offer, signature: bytes) -> bool:
    try:
        return recover(domain, offer, signature) == offer.provider
    except ProtocolError:
        return False


def untold(snapshot: Snapshot, receipts: Iterable[HeldReceipt]) -> list[bytes]:
    """Digests of what a book that says nothing of it may only leave out if an earlier one told that it left."""
    known = _known(snapshot)
    return [held.receipt.hash for held in receipts if held.receipt.hash not in known and _is_due(snapshot, held)]


def _known(snapshot: Snapshot) -> set[bytes]:
    entries = (snapshot.offers, snapshot.orders, snapshot.left_out)
    return {entry.digest for some in entries for entry in some}


def _is_due(snapshot: Snapshot, held: HeldReceipt) -> bool:
    return held.receipt.sequence < snapshot.sequence_bound and held.message.expiry > snapshot.held_time


def _left_before(snapshot: Snapshot, outcome: Outcome | None, earlier: Iterable[Snapshot]) -> set[bytes]:
    """What left for good by books that this matcher committed to, before this one."""
    own = (snapshot.domain, snapshot.matcher)
    return {
        entry.digest
        for book in earlier
        if (book.domain, book.matcher) == own
        and book.held_time <= snapshot.held_time
        and (outcome is None or book.root() in outcome.roots)
        for entry in book.left_out
        if entry.for_good
    }


def _dropped(snapshot: Snapshot, receipts: Iterable[HeldReceipt], left_before: set[bytes]) -> list[Finding]:
    known = _known(snapshot) | left_before
    findings = []
    for held in receipts:
        held.require(snapshot.domain)
        receipt = held.receipt
        if receipt.matcher != snapshot.matcher:
            raise ProtocolError(f"the receipt is by {receipt.matcher}, the auction by {snapshot.matcher}")
        name = f"{type(held.message).__name__.lower()} {to_hex(receipt.hash)}"
        if receipt.sequence >= snapshot.sequence_bound:
            if receipt.received_at < snapshot.held_time:
                words = f"{name} was received before the auction, as number {receipt.sequence} of the book, but the "
                words += f"auction says that it knows only those below {snapshot.sequence_bound}"
                findings.append(Finding(fault=Fault.BOUND, words=words))
        elif receipt.hash not in known and _is_due(snapshot, held):
            words = f"{name} has the book receipt {receipt.sequence}, below the auction's bound "
            words += f"{snapshot.sequence_bound}, and is not in its book, nor told to have left in one before"
            findings.append(Finding(fault=Fault.DROPPED, words=words))
    return findings


def _misruled(snapshot: Snapshot, outcome: Outcome) -> list[Finding]:
    """The leases that were opened or asked for must be those that the rule gives, with its offers."""
    pairings = match(snapshot.offers, snapshot.orders, snapshot.min_notice)
    by_rule = {lease_id(pairing.order.digest, pairing.fill): pairing for pairing in pairings}
    findings = []
    for opened in outcome.opened:
        pairing = by_rule.get(opened.lease)
        name = f"order {to_hex(opened.order)}, fill {opened.fill}"
        if pairing is None:
            words = f"{name} was given to {opened.provider}; the rule gives it to nobody in this auction"
            findings.append(Finding(fault=Fault.NOT_BY_THE_RULE, words=words))
        elif pairing.offer.digest != opened.offer:
            other = pairing.offer
            words = f"{name} was given to offer {to_hex(opened.offer)} of {opened.provider} at {opened.rate}; the rule "
            words += f"gives it to {to_hex(other.digest)} of {other.offer.provider} at {other.offer.rate}"
            findings.append(Finding(fault=Fault.OTHER_OFFER, words=words))
    asked = {opened.lease for opened in outcome.opened} | outcome.skipped
    for lease, pairing in by_rule.items():
        if lease not in asked:
            words = f"order {to_hex(pairing.order.digest)}, fill {pairing.fill}, was never sent; the rule gives it to "
            words += f"{to_hex(pairing.offer.digest)} of {pairing.offer.offer.provider}"
            findings.append(Finding(fault=Fault.NOT_SENT, words=words))
    return findings
