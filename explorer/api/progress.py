"""How far the mirror is, how it was checked, what it undid: status, stats, reorgs, coverage, audits."""

from typing import Any

from fastapi import APIRouter, Request, Response

from explorer.api.answers import Question, answer_one
from explorer.api.asked import Asked, AskedAt, Listed
from explorer.api.listing import Listing, answer_list
from explorer.api.problems import MANY, ONE
from explorer.api.shapes import AuditFact, IntervalFact, Many, One, ReorgFact, StatsFact, StatusFact
from explorer.api.shapes.progress import audit_fact, interval_fact, reorg_fact, stats_fact, status_fact
from explorer.routes import LedgerRoute

router = APIRouter(prefix="/v1/ledger", tags=["ledger"], route_class=LedgerRoute)

_REORGS: Listing[Any] = Listing(
    fetch=lambda now, *, limit, before=None, after=None: now.reorgs(limit, before, after),
    place=lambda row: (row.epoch,),
    # A rollback is never undone, so no reorg can move this list's places.
    block=None,
    fact=lambda row, _: reorg_fact(row),
    shape=ReorgFact,
    bottom=(-1,),
)
_AUDITS: Listing[Any] = Listing(
    fetch=lambda now, *, limit, before=None, after=None: now.audits(limit, before, after),
    place=lambda row: (row.block_number,),
    block=lambda row: row.block_number,
    fact=lambda row, _: audit_fact(row),
    shape=AuditFact,
    bottom=(-1,),
)

_COVERAGE: Listing[Any] = Listing(
    fetch=lambda now, *, limit, before=None, after=None: now.coverage(limit, before, after),
    place=lambda row: (row.first_number,),
    # An interval has two ends: what is newer begins above its last block.
    top=lambda row: (row.last_number,),
    block=lambda row: row.last_number,
    fact=lambda row, _: interval_fact(row),
    shape=IntervalFact,
    bottom=(-1,),
    heavy=True,
)


@router.get(
    "/status", operation_id="getStatus", response_model=One[StatusFact], responses=ONE, openapi_extra=Asked.described()
)
async def get_status(request: Request) -> Response:
    """The mirror's head block, the ledger head there, and the newest block that it is proved for."""
    asked = Asked.of(request)
    return await answer_one(request, asked, lambda question: status_fact(question.status))


@router.get(
    "/stats", operation_id="getStats", response_model=One[StatsFact], responses=ONE, openapi_extra=AskedAt.described()
)
async def get_stats(request: Request) -> Response:
    """Totals over all canonical events, up to now or up to a block."""
    asked = AskedAt.of(request)

    def find(question: Question) -> StatsFact:
        return stats_fact(question.now.stats(at_block=question.at_block))

    return await answer_one(request, asked, find, heavy=True)


@router.get(
    "/reorgs",
    operation_id="listReorgs",
    response_model=Many[ReorgFact],
    responses=MANY,
    openapi_extra=Listed.described(),
)
async def list_reorgs(request: Request) -> Response:
    """Every time the chain replaced blocks that the mirror had read, newest first."""
    asked = Listed.of(request)
    return await answer_list(request, asked, _REORGS)


@router.get(
    "/audits",
    operation_id="listAudits",
    response_model=Many[AuditFact],
    responses=MANY,
    openapi_extra=Listed.described(),
)
async def list_audits(request: Request) -> Response:
    """Storage proofs of the ledger's head that were asked of the node, newest block first."""
    asked = Listed.of(request)
    return await answer_list(request, asked, _AUDITS)


@router.get(
    "/coverage",
    operation_id="listCoverage",
    response_model=Many[IntervalFact],
    responses=MANY,
    openapi_extra=Listed.described(),
)
async def list_coverage(request: Request) -> Response:
    """Which blocks were read, and how each was shown to hold no other event: intervals without a gap, newest first.

    A long interval may come in parts that touch.
    """
    asked = Listed.of(request)
    return await answer_list(request, asked, _COVERAGE)
