"""POST /v1/jobs buys; the rest looks at it, follows it, reads its log, cancels it."""

import time
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from sqlmodel import Session, col, select

from backend import wake
from backend.accounts.tables import ApiKeyRow
from backend.door import Caller, KeyHolder, TheMarket, api_key, market_of
from backend.events.pulse import Pulse, news_or_time
from backend.events.stream import EventStream, Streams, is_over, messages, position_of
from backend.jobs import idempotency, service
from backend.jobs.pinning import pin
from backend.jobs.tables import JobLogRow, JobRow
from backend.jobs.view import view_job, view_jobs, view_new
from backend.leases.ending import cancel_job
from backend.leases.evidence import evidence_of
from backend.leases.segments import trace_of, usages
from backend.market import Market
from backend.matching import receipts
from backend.plain_calls import PlainCall, plain_body
from protocol.wire.evidence import Evidence
from protocol.wire.jobs import ENDED, Job, JobRequest, JobsAsked, Page, Quote, Trace

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

MAX_WAIT_SECONDS: Final = 60
_LOOK_SECONDS: Final = 5
"""Whoever waits looks for itself so often, should the shared look miss something."""


@router.post(
    "", response_model=Job | Quote, status_code=202, responses={200: {"model": Job | Quote}}, operation_id="submit_job"
)
async def submit_job(
    job_request: JobRequest,
    request: Request,
    key: KeyHolder,
    idempotency_key: Annotated[str, Header()] = "",
    prefer: Annotated[str, Header()] = "",
    dry_run: Annotated[bool, Query()] = False,
) -> Response:
    """Buys a job. `dry_run=1` only quotes; `Prefer: wait=30` answers when it has ended, or after that many seconds."""
    if dry_run:
        market = await market_of(request)
        with market.db.read() as session:
            answer = service.quote(session, market, key, job_request)
        return JSONResponse(answer.model_dump(mode="json"))
    return await _submit(request, key, job_request, idempotency_key, prefer)


async def _submit_plainly(request: Request) -> Response | None:
    asked = await plain_body(request, JobRequest)
    if asked is None:
        return None
    key, headers = await api_key(request), request.headers
    return await _submit(request, key, asked, headers.get("idempotency-key", ""), headers.get("prefer", ""))


PLAIN: Final = (PlainCall("POST", router.prefix, _submit_plainly),)


async def _submit(request: Request, key: ApiKeyRow, asked: JobRequest, idempotency_key: str, prefer: str) -> Response:
    market = await market_of(request)
    bought = await _bought(market, key, asked, idempotency_key, await request.body())
    if bought.is_new:
        wake.market()
    return await answer_with(market, request.app.state.pulse, bought, prefer)


async def _bought(
    market: Market, key: ApiKeyRow, request: JobRequest, idempotency_key: str, body: bytes
) -> service.Bought:
    with market.db.read() as session:
        row = idempotency.replayed(session, key.buyer, idempotency_key, body)
        if row is not None:
            return service.Bought(row)
        signed = service.sign_order(session, market, key, request)
    return await market.db.written(
        lambda session: service.submit(session, key, signed, idempotency_key, body), is_first=True
    )


async def answer_with(market: Market, pulse: Pulse, bought: service.Bought, prefer: str) -> Response:
    """The job with the matcher's book receipt: 200 if it has ended, else 202."""
    seconds = _wait_seconds(prefer)
    row = await _wait(market, pulse, bought.job, seconds)
    if bought.placed is not None and not seconds:
        order, entered = bought.placed
        job = view_new(market, row, order, receipts.sign_entered(market, order, entered))
    else:
        with market.db.read() as session:
            receipt = receipts.signed(session, market, service.order_of(row))
            job = view_job(session, market, row).model_copy(update={"book_receipt": receipt})
    headers = {"Location": job.links["self"], **({} if bought.is_new else {"Idempotent-Replayed": "true"})}
    status = 200 if row.state in ENDED else 202
    return Response(job.model_dump_json(), status, headers, "application/json")


def _wait_seconds(prefer: str) -> int:
    for item in prefer.split(","):
        name, _, value = item.strip().partition("=")
        if name == "wait" and value.isascii() and value.isdigit():
            return min(int(value[:9]), MAX_WAIT_SECONDS)
    return 0


async def _wait(market: Market, pulse: Pulse, row: JobRow, seconds: int) -> JobRow:
    if not seconds or row.state in ENDED:
        return row
    deadline = time.monotonic() + seconds
    with pulse.listening(row.id) as news:
        while row.state not in ENDED and (left := deadline - time.monotonic()) > 0 and not market.draining.is_set():
            await news_or_time(news, min(left, _LOOK_SECONDS))
            news.clear()
            with market.db.read() as session:
                row = service.own_job(session, row.buyer, row.id)
    return row


@router.get("", response_model=Page, operation_id="list_jobs")
async def list_jobs(market: TheMarket, caller: Caller, asked: Annotated[JobsAsked, Query()]) -> Page:
    """The account's jobs, newest first. `created_after` is inclusive, `created_before` is not."""
    with market.db.read() as session:
        rows, token = service.list_jobs(session, caller.address, asked)
        return Page(data=view_jobs(session, market, rows), has_more=token is not None, next_page_token=token)


@router.get("/{job_id}", response_model=Job, operation_id="get_job")
async def get_job(job_id: str, market: TheMarket, caller: Caller) -> Job:
    """One job."""
    with market.db.read() as session:
        return view_job(session, market, service.own_job(session, caller.address, job_id))


@router.get(
    "/{job_id}/events",
    operation_id="job_events",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {}}}, 204: {"description": "Nothing follows."}},
)
async def job_events(
    job_id: str,
    request: Request,
    market: TheMarket,
    caller: Caller,
    last_event_id: Annotated[str | None, Header()] = None,
    after: Annotated[str | None, Query()] = None,
) -> Response:
    """Server-sent events of the job: states, segments, logs, leases; ends when the job and its settlement have ended.

    Ids count from 1 without a gap; reconnect with the last one in Last-Event-ID (or `after`) and nothing is missed or
    told twice. Log text is the provider's word.
    """
    position = position_of(last_event_id or after)
    with market.db.read() as session:
        if is_over(session, service.own_job(session, caller.address, job_id), position):
            # With it a browser's EventSource stops to come back.
            return Response(status_code=204)
    streams: Streams = request.app.state.streams
    done = streams.enter(caller.address)
    pieces = messages(market, request.app.state.pulse, job_id, position)
    return EventStream(pieces, stall_seconds=market.settings.stall_seconds, done=done)


@router.get("/{job_id}/logs", response_class=PlainTextResponse, operation_id="job_logs")
async def job_logs(job_id: str, market: TheMarket, caller: Caller) -> PlainTextResponse:
    """What the job printed. Text is the provider's word: it is not part of the result hash."""
    with market.db.read() as session:
        row = service.own_job(session, caller.address, job_id)
        statement = select(JobLogRow.text).where(JobLogRow.job_id == row.id).order_by(col(JobLogRow.sequence))
        return PlainTextResponse("".join(session.exec(statement)), headers={"X-Content-Type-Options": "nosniff"})


@router.get("/{job_id}/trace", response_model=Trace, operation_id="job_trace")
async def job_trace(job_id: str, market: TheMarket, caller: Caller) -> Trace:
    """State and work after each segment: with it, the result hash can be recomputed."""
    with market.db.read() as session:
        row = service.own_job(session, caller.address, job_id)
        return Trace(data=trace_of(usages(session, row.id)))


@router.get("/{job_id}/evidence", response_model=Evidence, operation_id="job_evidence")
async def job_evidence(job_id: str, market: TheMarket, caller: Caller) -> Evidence:
    """What providers signed about the job and was found wrong: the buyer can challenge it before the arbiter."""
    with market.db.read() as session:
        return evidence_of(session, service.own_job(session, caller.address, job_id))


@router.post("/{job_id}/cancel", response_model=Job, operation_id="cancel_job")
async def cancel(job_id: str, market: TheMarket, caller: Caller) -> Job:
    """Ends a job: what was worked is paid, the rest of the lock comes back. Cancelling twice is one cancel."""

    def end(session: Session) -> JobRow:
        row = pin(session, service.own_job(session, caller.address, job_id).id)
        cancel_job(session, market, row)
        return row

    row = await market.db.written(end)
    wake.market()
    with market.db.read() as session:
        return view_job(session, market, row)
