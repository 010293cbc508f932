"""The first page: is the mirror healthy, and what happened last."""

from fastapi import APIRouter, Request, Response

from explorer.responses import page
from explorer.routes import PageRoute
from explorer.site import TheSite

router = APIRouter(route_class=PageRoute)
_ROWS = 8


@router.get("/", name="home")
async def home(request: Request, site: TheSite) -> Response:
    mirror = site.mirror
    return page(
        request,
        site,
        "home.html",
        stats=mirror.stats(),
        leases=mirror.leases(limit=_ROWS),
        payments=mirror.payments(limit=_ROWS),
        blocks=mirror.blocks(limit=_ROWS),
    )
