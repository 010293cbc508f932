"""One transaction: its events as sentences, then the raw fields."""

from fastapi import APIRouter, Request, Response

from explorer.identifiers import NotOnLedger, hash_of, spelt
from explorer.responses import page
from explorer.routes import PageRoute
from explorer.site import TheSite

router = APIRouter(route_class=PageRoute)
_EVENTS = 200


@router.get("/tx/{tx_hash}", name="transaction")
async def transaction_page(request: Request, site: TheSite, tx_hash: str) -> Response:
    wanted = hash_of(tx_hash, "transaction")
    row = site.mirror.transaction(wanted)
    events = site.mirror.events(tx_hash=wanted, canonical=None, limit=_EVENTS)
    if row is None and not events:
        raise NotOnLedger("transaction", spelt(wanted))
    block = site.mirror.block(row.block_hash) if row is not None else None
    return page(
        request,
        site,
        "transaction.html",
        tx_hash=wanted,
        transaction=row,
        orphaned=block is None or not block.canonical,
        events=events,
    )
