"""Accounts and providers."""

from fastapi import APIRouter, Response

from explorer.api.shapes import AccountFact, Many, One, ProviderFact, account_fact, provider_fact
from explorer.identifiers import NotOnLedger, address_of
from explorer.paging import Limit
from explorer.responses import fact
from explorer.routes import LedgerRoute
from explorer.site import TheSite

router = APIRouter(prefix="/v1/ledger", tags=["ledger"], route_class=LedgerRoute)


@router.get("/accounts/{address}", response_model=One[AccountFact])
async def get_account(site: TheSite, address: str) -> Response:
    """Zeros for an address that the ledger never saw."""
    return fact(site, account_fact(site.mirror.account(address_of(address))))


@router.get("/providers", response_model=Many[ProviderFact])
async def list_providers(site: TheSite, limit: Limit = 50) -> Response:
    """Those that earned most first."""
    return fact(site, [provider_fact(row) for row in site.mirror.providers(limit=limit)])


@router.get("/providers/{address}", response_model=One[ProviderFact])
async def get_provider(site: TheSite, address: str) -> Response:
    account = address_of(address)
    row = site.mirror.provider(account)
    if row is None:
        raise NotOnLedger("provider", account)
    return fact(site, provider_fact(row))
