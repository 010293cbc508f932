"""POST /v1/orders buys with an order that the buyer signed itself; POST /v1/orders/prepare writes it."""

from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from sqlmodel import Session

from backend import wake
from backend.accounts.service import Principal
from backend.door import Caller, TheMarket
from backend.jobs import idempotency
from backend.jobs.endpoints import answer_with
from backend.jobs.service import Bought
from backend.market import Market
from backend.orders import service
from backend.orders.signing import authority
from protocol.hashing import from_hex
from protocol.wire.jobs import Job, JobRequest
from protocol.wire.orders import OrderDraft, SignedOrder

router = APIRouter(prefix="/v1/orders", tags=["orders"])


@router.post("/prepare", response_model=OrderDraft, operation_id="prepare_order")
async def prepare_order(job_request: JobRequest, market: TheMarket, caller: Caller) -> OrderDraft:
    """What POST /v1/jobs would sign for this request, as typed data for the buyer's own wallet, and a quote."""
    with market.db.read() as session:
        return service.prepare(session, market, caller.address, job_request)


@router.post("", response_model=Job, status_code=202, operation_id="submit_order")
async def submit_order(
    signed: SignedOrder,
    request: Request,
    market: TheMarket,
    caller: Caller,
    idempotency_key: Annotated[str, Header()] = "",
    prefer: Annotated[str, Header()] = "",
) -> Response:
    """Buys a job with an order that its buyer signed. The same order again, with or without a key, is the same job."""
    bought = await _bought(market, caller, signed, idempotency_key, await request.body())
    if bought.is_new:
        wake.market()
    return await answer_with(market, request.app.state.pulse, bought, prefer)


async def _bought(market: Market, caller: Principal, signed: SignedOrder, idempotency_key: str, body: bytes) -> Bought:
    order = service.own_order(caller, signed)
    with market.db.read() as session:
        row = service.job_of(session, market, order)
    if row is not None:
        return Bought(row)
    signature, delegate = await authority(market, order, from_hex(signed.signature))

    def submit(session: Session) -> Bought:
        row = idempotency.replayed(session, caller.address, idempotency_key, body) if idempotency_key else None
        if row is not None:
            return Bought(row)
        bought = service.submit(session, market, signed, order, signature, delegate)
        if idempotency_key:
            idempotency.remember(session, caller.address, idempotency_key, body, bought.job)
        return bought

    return await market.db.written(submit, is_first=True)
