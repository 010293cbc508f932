"""POST /v1/jobs buys; the rest looks at it, reads its log, cancels it."""

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from sqlmodel import col, select

from backend import wake
from backend.door import KeyHolder, TheMarket
from backend.jobs import idempotency, service
from backend.jobs.tables import JobLogRow, JobRow
from backend.jobs.view import view_job
from backend.leases.ending import cancel_job
from backend.leases.segments import trace_of, usages
from backend.matching import receipts
from protocol.wire.jobs import ENDED, Job, JobRequest, Page, Quote, Trace

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

MAX_WAIT_SECONDS = 60
_POLL_SECONDS = 0.2


@router.post("", response_model=Job | Quote, status_code=202, operation_id="submit_job")
async def submit_job(
    job_request: JobRequest,
    request: Request,
    market: TheMarket,
    key: KeyHolder,
    idempotency_key: Annotated[str, Header()] = "",
    prefer: Annotated[str, Header()] = "",
    dry_run: Annotated[bool, Query()] = False,
) -> Response:
    """Buys a job. `dry_run=1` only quotes; `Prefer: wait=30` answers when it has ended, or after that many seconds."""
    if dry_run:
        with market.db.read() as session:
            answer = service.quote(session, market, key, job_request)
        return JSONResponse(answer.model_dump(mode="json"))
    body = await request.body()
    headers = {}
    with market.db.write() as session:
        row = idempotency.replayed(session, key.buyer, idempotency_key, body)
        if row is not None:
            headers["Idempotent-Replayed"] = "true"
        else:
            row = service.submit(session, market, key, job_request, idempotency_key, body)
    wake.market()
    row = await _wait(market, row, _wait_seconds(prefer))
    with market.db.read() as session:
        receipt = receipts.signed(session, market, service.order_of(row))
    job = view_job(market, row).model_copy(update={"book_receipt": receipt})
    status = 200 if row.state in ENDED else 202
    return JSONResponse(job.model_dump(mode="json"), status, {**headers, "Location": job.links["self"]})


def _wait_seconds(prefer: str) -> int:
    for item in prefer.split(","):
        name, _, value = item.strip().partition("=")
        if name == "wait" and value.isdigit():
            return min(int(value), MAX_WAIT_SECONDS)
    return 0


async def _wait(market: TheMarket, row: JobRow, seconds: int) -> JobRow:
    deadline = time.monotonic() + seconds
    while row.state not in ENDED and time.monotonic() < deadline and not market.draining.is_set():
        await asyncio.sleep(_POLL_SECONDS)
        with market.db.read() as session:
            row = service.own_job(session, row.buyer, row.id)
    return row


@router.get("", response_model=Page, operation_id="list_jobs")
async def list_jobs(
    market: TheMarket,
    key: KeyHolder,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    page_token: Annotated[str | None, Query(max_length=40)] = None,
) -> Page:
    """The account's jobs, newest first."""
    with market.db.read() as session:
        rows = service.list_jobs(session, key.buyer, page_token, limit + 1)
        shown = [view_job(market, row) for row in rows[:limit]]
    more = len(rows) > limit
    return Page(data=shown, has_more=more, next_page_token=shown[-1].id if more else None)


@router.get("/{job_id}", response_model=Job, operation_id="get_job")
async def get_job(job_id: str, market: TheMarket, key: KeyHolder) -> Job:
    """One job."""
    with market.db.read() as session:
        return view_job(market, service.own_job(session, key.buyer, job_id))


@router.get("/{job_id}/logs", response_class=PlainTextResponse, operation_id="job_logs")
async def job_logs(job_id: str, market: TheMarket, key: KeyHolder) -> PlainTextResponse:
    """What the job printed. Text is the provider's word: it is not part of the result hash."""
    with market.db.read() as session:
        row = service.own_job(session, key.buyer, job_id)
        statement = select(JobLogRow.text).where(JobLogRow.job_id == row.id).order_by(col(JobLogRow.sequence))
        return PlainTextResponse("".join(session.exec(statement)))


@router.get("/{job_id}/trace", response_model=Trace, operation_id="job_trace")
async def job_trace(job_id: str, market: TheMarket, key: KeyHolder) -> Trace:
    """State and work after each segment: with it, the result hash can be recomputed."""
    with market.db.read() as session:
        row = service.own_job(session, key.buyer, job_id)
        return Trace(data=trace_of(usages(session, row.id)))


@router.post("/{job_id}/cancel", response_model=Job, operation_id="cancel_job")
async def cancel(job_id: str, market: TheMarket, key: KeyHolder) -> Job:
    """Ends a job: what was worked is paid, the rest of the lock comes back. Cancelling twice is one cancel."""
    with market.db.write() as session:
        row = service.own_job(session, key.buyer, job_id)
        cancel_job(session, market, row)
        shown = row
    wake.market()
    return view_job(market, shown)
