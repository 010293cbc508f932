"""POST, GET and DELETE of offers."""

import json

from fastapi import APIRouter, Response
from sqlmodel import Session, col, select

from backend.door import TheMarket, Wallet
from backend.matching import receipts
from backend.offers import service
from backend.offers.tables import OfferRow
from protocol.clock import now_time
from protocol.hashing import Address
from protocol.resources import Quantities, names_of
from protocol.units import format_rate
from protocol.wire.auctions import SignedBookReceipt
from protocol.wire.offers import OfferInfo, OfferPage, OfferRequest
from protocol.zones import zone_by_number

router = APIRouter(prefix="/v1/offers", tags=["offers"])


@router.post("", response_model=OfferInfo, status_code=201, operation_id="post_offer")
async def post_offer(request: OfferRequest, market: TheMarket, caller: Wallet) -> OfferInfo:
    """Puts a signed offer into the book."""

    def post(session: Session) -> tuple[OfferRow, SignedBookReceipt | None]:
        row = service.post_offer(session, market, caller, request.offer, request.signature)
        return row, receipts.signed(session, market, service.offer_of(row))

    row, receipt = await market.db.written(post)
    market.live_book.forget()
    return _shown(row, 0, 0).model_copy(update={"book_receipt": receipt})


@router.get("", response_model=OfferPage, operation_id="list_offers")
async def list_offers(market: TheMarket) -> OfferPage:
    """The offers that are not withdrawn and not expired, cheapest first."""
    with market.db.read() as session:
        live = select(OfferRow).where(col(OfferRow.withdrawn).is_(False), OfferRow.expiry_time > now_time())
        rows = list(session.exec(live.limit(1000)))
        accounts = market.mirror.accounts([Address(row.provider) for row in rows])
        shown = []
        for row in rows:
            account = accounts.get(Address(row.provider))
            silent = service.silent_seconds(session, row.provider)
            shown.append(_shown(row, account.open_leases if account else 0, silent))
    return OfferPage(data=sorted(shown, key=lambda info: (info.rate, info.digest)))


@router.delete("/{digest}", status_code=204, operation_id="withdraw_offer")
async def withdraw_offer(digest: str, market: TheMarket, caller: Wallet) -> Response:
    """Takes an offer out of the book. Leases that are open go on."""
    await market.db.written(lambda session: service.withdraw_offer(session, caller, digest))
    market.live_book.forget()
    return Response(status_code=204)


def _shown(row: OfferRow, open_leases: int, silent: int) -> OfferInfo:
    offer = service.offer_of(row)
    zone = zone_by_number(offer.zone)
    lanes = Quantities.unpack(offer.quantities)
    return OfferInfo(
        digest=row.digest,
        provider=offer.provider,
        zone=zone.id if zone else None,
        meter=offer.meter,
        rate=offer.rate,
        price=format_rate(offer.meter, offer.rate),
        capacity=offer.capacity,
        open_leases=open_leases,
        heard_seconds_ago=silent,
        quantities={name: getattr(lanes, name) for name in lanes.__slots__},
        traits=names_of(offer.traits),
        expiry=offer.expiry,
        offer=json.loads(row.message),
        signature=row.signature,
    )
