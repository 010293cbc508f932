"""Providers: who serves, where, and what they earned."""

from fastapi import APIRouter, Request, Response

from explorer.identifiers import NotOnLedger, address_of
from explorer.responses import page
from explorer.routes import PageRoute
from explorer.site import TheSite

router = APIRouter(route_class=PageRoute)
_ROWS = 25
_PROVIDERS = 200


@router.get("/providers", name="providers")
async def providers_page(request: Request, site: TheSite) -> Response:
    return page(request, site, "providers.html", providers=site.mirror.providers(limit=_PROVIDERS))


@router.get("/provider/{address}", name="provider")
async def provider_page(request: Request, site: TheSite, address: str) -> Response:
    account = address_of(address)
    provider = site.mirror.provider(account)
    if provider is None:
        raise NotOnLedger("provider", account)
    return page(
        request,
        site,
        "provider.html",
        provider=provider,
        account=site.mirror.account(account),
        leases=site.mirror.leases(provider=account, limit=_ROWS),
        payments=site.mirror.payments(provider=account, limit=_ROWS),
    )
