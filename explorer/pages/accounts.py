"""One account: its money in the ledger, its leases on either side, its events and transactions."""

from fastapi import APIRouter, Request, Response

from explorer.identifiers import address_of
from explorer.paging import PageToken, page_of, position_of
from explorer.responses import page
from explorer.routes import PageRoute
from explorer.site import TheSite

router = APIRouter(route_class=PageRoute)
_ROWS = 25


@router.get("/address/{address}", name="address")
async def address_page(request: Request, site: TheSite, address: str, page_token: PageToken = None) -> Response:
    """Any well-formed address has a page: one that the ledger never saw is an account of zeros."""
    account = address_of(address)
    mirror = site.mirror
    rows = mirror.events(account=account, canonical=None, limit=_ROWS + 1, before=position_of(page_token))
    events, token = page_of(rows, _ROWS, lambda row: (row.block_number, row.log_index))
    return page(
        request,
        site,
        "address.html",
        account=mirror.account(account),
        bought=mirror.leases(buyer=account, limit=_ROWS),
        provider=mirror.provider(account),
        events=events,
        next_page_token=token,
        transactions=mirror.account_transactions(account, limit=_ROWS),
    )
