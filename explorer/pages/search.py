"""The search box's answer."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from explorer.responses import page
from explorer.routes import PageRoute
from explorer.search import Shape, classify, find
from explorer.site import TheSite
from explorer.spelling import visible

router = APIRouter(route_class=PageRoute)


@router.get("/search", name="search")
async def search_page(request: Request, site: TheSite, q: str = "") -> Response:
    """One exact hit redirects; several, or those of a prefix, are listed; none says up to which block."""
    query = classify(q)
    found = find(site.mirror, query)
    if len(found) == 1 and query.shape is not Shape.PREFIX:
        return RedirectResponse(found[0].path, status_code=303)
    code = 404 if not found and query.shape is not Shape.EMPTY else 200
    return page(request, site, "search.html", code, query=query, asked=visible(q.strip()), found=found)
