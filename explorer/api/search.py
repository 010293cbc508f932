"""The search box for programs."""

from fastapi import APIRouter, Request, Response

from explorer.api.answers import Question, answer_one
from explorer.api.asked import SearchAsked
from explorer.api.problems import ONE
from explorer.api.shapes import HitFact, One
from explorer.routes import LedgerRoute
from explorer.search import classify, find

router = APIRouter(prefix="/v1/ledger", tags=["ledger"], route_class=LedgerRoute)


@router.get(
    "/search",
    operation_id="search",
    response_model=One[list[HitFact]],
    responses=ONE,
    openapi_extra=SearchAsked.described(),
)
async def search(request: Request) -> Response:
    """Pages that a hash, an address, a block number, a CID or the beginning of a hash can mean; best first."""
    asked = SearchAsked.of(request)

    def hits(question: Question) -> list[HitFact]:
        return [
            {"object": "hit", "kind": found.kind, "id": found.id, "path": found.path, "label": found.label}
            for found in find(question.now, classify(asked.q))
        ]

    return await answer_one(request, asked, hits)
