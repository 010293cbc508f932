"""Taking offers in, and the live book that matching reads."""

import json
from typing import Any

from sqlmodel import Session, col, select

from backend.accounts.service import Principal
from backend.errors import NotFound, OfferRefused
from backend.market import Market
from backend.matching import receipts
from backend.offers.presence import heard
from backend.offers.tables import OfferRow, ProviderRow
from protocol.clock import now_time
from protocol.hashing import Address, from_hex, to_hex
from protocol.messages import digest, from_json, recover, to_json
from protocol.resources import has_guard_bits
from protocol.terms import Offer

MAX_OFFERS_PER_PROVIDER = 16
MAX_OFFER_SECONDS = 30 * 24 * 3600


def post_offer(session: Session, market: Market, caller: Principal, message: Any, signature: str) -> OfferRow:
    """Stores a signed offer; raises `OfferRefused`, `BadSignature`, `TermOutOfRange`. The same offer twice is one."""
    offer = from_json(Offer, message)
    _require_own(market, caller, offer, from_hex(signature, 65))
    _require_openable(market, offer)
    offer_digest = digest(market.domain, offer)
    if market.mirror.cancelled([(offer.provider, offer_digest)]):
        raise OfferRefused("the offer is cancelled on chain", remedy="sign another one, with another salt")
    key = to_hex(offer_digest)
    row = session.get(OfferRow, key)
    if row is None:
        if len(_offers_of(session, offer.provider)) >= MAX_OFFERS_PER_PROVIDER:
            raise OfferRefused(f"the provider has {MAX_OFFERS_PER_PROVIDER} live offers", remedy="withdraw one first")
        row = OfferRow(
            digest=key,
            provider=offer.provider,
            message=json.dumps(to_json(offer), separators=(",", ":")),
            signature=signature,
            expiry_time=offer.expiry,
            received_time=now_time(),
        )
    row.withdrawn = False
    session.add(row)
    receipts.enter(session, market, offer)
    heard(session, [offer.provider])
    return row


def _require_own(market: Market, caller: Principal, offer: Offer, signature: bytes) -> None:
    if offer.provider != caller.address:
        raise OfferRefused(
            f"the offer is {offer.provider}'s, the session {caller.address}'s", remedy="sign in with its key"
        )
    signer = recover(market.domain, offer, signature)
    if signer != offer.provider:
        raise OfferRefused(
            f"the signature is by {signer}, not by {offer.provider}",
            remedy=f"sign it for chain {market.domain.chain_id} and ledger {market.domain.ledger}",
        )


def _require_openable(market: Market, offer: Offer) -> None:
    now = now_time()
    if offer.min_charge > offer.bond:
        raise OfferRefused(
            "minCharge is more than bond, so no order can meet it", remedy="raise bond or lower minCharge"
        )
    if has_guard_bits(offer.quantities):
        raise OfferRefused("a lane of quantities is over 32767", remedy="pack it with protocol.resources")
    if not now < offer.expiry <= now + MAX_OFFER_SECONDS:
        raise OfferRefused("expiry is in the past or more than 30 days away", remedy="sign it for a day")
    epoch = market.mirror.account(offer.provider).epoch
    if offer.epoch != epoch:
        raise OfferRefused(f"expected epoch {epoch}, found {offer.epoch}", remedy=f"sign it with epoch {epoch}")
    if offer.rate == 0 or offer.capacity == 0 or offer.meter > 1:
        raise OfferRefused("rate and capacity must be positive and meter 0 or 1")


def _offers_of(session: Session, provider: Address) -> list[OfferRow]:
    statement = select(OfferRow).where(
        OfferRow.provider == provider, col(OfferRow.withdrawn).is_(False), OfferRow.expiry_time > now_time()
    )
    return list(session.exec(statement))


def withdraw_offer(session: Session, caller: Principal, key: str) -> None:
    """The market matches it no more. On chain it ends by `cancel` or at its expiry."""
    row = session.get(OfferRow, key)
    if row is None or row.provider != caller.address:
        raise NotFound(f"no offer {key[:70]}")
    row.withdrawn = True
    session.add(row)


def set_aside(session: Session, key: str) -> None:
    """Out of the book until its provider posts it again: the ledger refused the offer for its own sake."""
    row = session.get_one(OfferRow, key)
    row.withdrawn = True
    session.add(row)


def silent_seconds(session: Session, provider: str) -> int:
    """Seconds since the provider was heard; very many if never."""
    row = session.get(ProviderRow, provider)
    return seconds_since(row.heard_time if row else None)


def seconds_since(heard_time: int | None) -> int:
    """Seconds since a provider was heard at that time; very many if never."""
    return now_time() - heard_time if heard_time is not None else 2**31


def offer_of(row: OfferRow) -> Offer:
    return from_json(Offer, json.loads(row.message))
