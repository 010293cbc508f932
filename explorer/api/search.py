"""The search box for programs."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from explorer.api.shapes import HitFact, Many
from explorer.responses import fact
from explorer.routes import LedgerRoute
from explorer.search import classify, find
from explorer.site import TheSite

router = APIRouter(prefix="/v1/ledger", tags=["ledger"], route_class=LedgerRoute)


@router.get("/search", response_model=Many[HitFact])
async def search(site: TheSite, q: Annotated[str, Query(max_length=200)]) -> Response:
    """Pages that a hash, an address, a block number, a CID or the beginning of a hash can mean; best first."""
    hits: list[HitFact] = [
        {"object": "hit", "kind": found.kind, "id": found.id, "path": found.path, "label": found.label}
        for found in find(site.mirror, classify(q))
    ]
    return fact(site, hits)
