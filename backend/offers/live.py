"""The live book: the offers of providers that were heard lately, with what the mirror knows of them.

An offer never changes under its digest, so each is read from its message once, for as long as it stays live.
"""

import json
import time
from typing import Final, NamedTuple

from sqlalchemy import bindparam
from sqlmodel import Session, col, select

from backend.matching.book import BookOffer
from backend.offers.tables import OfferRow, ProviderRow
from backend.operations.listening import Listening
from indexer import prepared
from indexer.queries import Mirror, Reads
from protocol.clock import now_time
from protocol.hashing import from_hex
from protocol.messages import from_json
from protocol.terms import Offer

_GLANCE_SECONDS: Final = 0.25


_LIVE: Final = (
    select(OfferRow.digest)
    .join(ProviderRow, col(ProviderRow.address) == col(OfferRow.provider))
    .where(
        col(OfferRow.withdrawn).is_(False),
        col(OfferRow.expiry_time) > bindparam("now"),
        col(ProviderRow.heard_time) >= bindparam("heard_since"),
    )
    .order_by(col(OfferRow.digest))
)
"""Built once: every glance and every auction asks it."""


class _Parsed(NamedTuple):
    digest: bytes
    offer: Offer
    signature: bytes


class LiveBook:
    """Of one process. What it says of rooms and epochs is as old as the mirror."""

    def __init__(self, mirror: Mirror, listening: Listening, silence_seconds: int) -> None:
        self._mirror, self._listening, self._silence_seconds = mirror, listening, silence_seconds
        self._parsed: dict[str, _Parsed] = {}
        #: what `_book` was made of: the mirror's block, and the digests of the offers
        self._made_of: tuple[bytes, list[str]] | None = None
        self._book: list[BookOffer] = []
        self._glance: list[BookOffer] = []
        self._glance_ends = 0.0

    def lately(self, session: Session) -> list[BookOffer]:
        """As it was at most a quarter of a second ago, the cheapest first: for quotes and first checks, which promise
        nothing.
        """
        if time.monotonic() >= self._glance_ends:
            self._glance = sorted(self.now(session), key=lambda entry: (entry.offer.rate, entry.digest))
            self._glance_ends = time.monotonic() + _GLANCE_SECONDS
        return self._glance

    def forget(self) -> None:
        """An offer came or went by this process: the next look reads again."""
        self._glance_ends = 0.0

    def now(self, session: Session) -> list[BookOffer]:
        """By digest; without offers that the ledger would skip, because the cheapest would be tried for ever."""
        parsed = self._live(session)
        with self._mirror.snapshot() as mirror:
            made_of = mirror.status().block_hash, list(self._parsed)
            if made_of != self._made_of:
                self._book, self._made_of = self._read(mirror, parsed), made_of
        return self._book

    def _read(self, mirror: Reads, parsed: list[_Parsed]) -> list[BookOffer]:
        accounts = mirror.accounts({found.offer.provider for found in parsed})
        cancelled = mirror.cancelled([(found.offer.provider, found.digest) for found in parsed])
        book = []
        for digest, offer, signature in parsed:
            account = accounts[offer.provider]
            if account.epoch == offer.epoch and (offer.provider, digest) not in cancelled:
                book.append(BookOffer(digest=digest, offer=offer, signature=signature, open_leases=account.open_leases))
        return book

    def _live(self, session: Session) -> list[_Parsed]:
        now = now_time()
        since = now - self._silence_seconds
        # Who could not be heard is not silent.
        heard = {"now": now, "heard_since": since - self._listening.lateness(session).excused_seconds(since, now)}
        keys = [key for (key,) in prepared.rows(session.connection(), _LIVE, heard)]
        if keys == list(self._parsed):
            return list(self._parsed.values())
        unread = [key for key in keys if key not in self._parsed]
        read = {row.digest: _parse(row) for row in _rows(session, unread)}
        # Only what is live is kept: a provider that stays away is read again when it comes back.
        self._parsed = {key: self._parsed.get(key) or read[key] for key in keys}
        return list(self._parsed.values())


def _rows(session: Session, keys: list[str]) -> list[OfferRow]:
    return list(session.exec(select(OfferRow).where(col(OfferRow.digest).in_(keys)))) if keys else []


def _parse(row: OfferRow) -> _Parsed:
    return _Parsed(from_hex(row.digest, 32), from_json(Offer, json.loads(row.message)), from_hex(row.signature, 65))
