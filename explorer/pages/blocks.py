"""Blocks: what each one brought, and which were replaced."""

from fastapi import APIRouter, Request, Response

from explorer.identifiers import NotOnLedger, block_of, spelt
from explorer.paging import PAGE_SIZE, PageToken, page_of, position_of
from explorer.responses import page
from explorer.routes import PageRoute
from explorer.site import TheSite

router = APIRouter(route_class=PageRoute)
_EVENTS = 200


@router.get("/blocks", name="blocks")
async def blocks_page(request: Request, site: TheSite, page_token: PageToken = None) -> Response:
    before = position_of(page_token)
    rows = site.mirror.blocks(limit=PAGE_SIZE + 1, before=before[0] if before else None)
    blocks, token = page_of(rows, PAGE_SIZE, lambda row: (row.number, 0))
    return page(request, site, "blocks.html", blocks=blocks, next_page_token=token, reorgs=site.mirror.reorgs(limit=10))


@router.get("/block/{block}", name="block")
async def block_page(request: Request, site: TheSite, block: str) -> Response:
    wanted = block_of(block)
    row = site.mirror.block(wanted)
    if row is None:
        raise NotOnLedger("block", spelt(wanted))
    events = site.mirror.events(block_number=row.number, canonical=None, limit=_EVENTS)
    return page(request, site, "block.html", block=row, events=[e for e in events if e.block_hash == row.hash])
