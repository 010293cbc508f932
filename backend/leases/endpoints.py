"""What a provider's agent calls. Every call also says that the provider is alive."""

import json
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse
from sqlmodel import Session, case, col, select

from backend import crash_points, wake
from backend.door import TheMarket, Wallet
from backend.jobs.tables import JobRow
from backend.leases import ending, service, vouchers
from backend.leases.segments import lane_segments, trace_of
from backend.leases.tables import LeaseIntention
from backend.market import Market
from backend.offers.service import heard, is_noted
from protocol.hashing import from_hex
from protocol.wire.leases import (
    CommitmentAnswer,
    Countersignature,
    FailureReport,
    LeasePage,
    LeaseWork,
    Resume,
    SignedVoucher,
    UsageCommitment,
    UsageReport,
    Waiting,
)

router = APIRouter(prefix="/v1/provider", tags=["provider"])


async def live_provider(market: TheMarket, caller: Wallet) -> Wallet:
    """The signed-in provider, noted as alive."""
    with market.db.read() as session:
        known = is_noted(session, market, caller.address)
    if not known:
        await market.db.written(lambda session: heard(session, caller.address))
    return caller


Provider = Annotated[Wallet, Depends(live_provider)]


@router.get("/leases", response_model=LeasePage, operation_id="provider_leases")
async def provider_leases(market: TheMarket, caller: Provider) -> LeasePage:
    """The leases that are this provider's to serve, or to countersign. Hints: the chain decides."""
    with market.db.read() as session:
        is_live = col(LeaseIntention.state).in_(("proposed", "running"))
        wants_signature = (
            col(LeaseIntention.last_signed_time).is_not(None)
            & col(LeaseIntention.countersignature).is_(None)
            & col(LeaseIntention.settled).is_(False)
        )
        statement = select(LeaseIntention).where(LeaseIntention.provider == caller.address, is_live | wants_signature)
        # The oldest first, so that none waits for ever behind a page of newer ones.
        order = (case((is_live, 0), else_=1), col(LeaseIntention.proposed_time), col(LeaseIntention.lease))
        rows = session.exec(statement.order_by(*order).limit(50)).all()
        return LeasePage(data=[_work(session, market, row) for row in rows if _is_open_business(market, row)])


def _is_open_business(market: Market, row: LeaseIntention) -> bool:
    """Running, or ended by a last voucher that the provider has not countersigned while the lease still runs."""
    if row.state != "ended":
        return True
    if row.last_signed_time is None or row.countersignature is not None:
        return False
    lease = market.mirror.lease(from_hex(row.lease, 32))
    return lease is not None and lease.closed_block is None


@router.get("/leases/{lease}", response_model=LeaseWork, operation_id="provider_lease")
async def provider_lease(lease: str, market: TheMarket, caller: Provider) -> LeaseWork:
    """One lease with the checkpoint to resume from."""
    with market.db.read() as session:
        return _work(session, market, service.own_intention(session, caller, lease))


@router.post("/leases/{lease}/usage-commitments", response_model=CommitmentAnswer, operation_id="commit_usage")
async def commit_usage(lease: str, asked: UsageCommitment, market: TheMarket, caller: Provider) -> CommitmentAnswer:
    """A replica commits to its next segment; asked again, it says when the segment may be shown."""
    may_reveal = await market.db.written(lambda session: service.commit_usage(session, market, caller, lease, asked))
    return CommitmentAnswer(may_reveal=may_reveal)


@router.post(
    "/leases/{lease}/usage-receipts",
    response_model=SignedVoucher,
    responses={202: {"model": Waiting}},
    operation_id="report_usage",
)
async def report_usage(
    lease: str, report: UsageReport, market: TheMarket, caller: Provider
) -> SignedVoucher | JSONResponse:
    """One segment for one voucher. The same again gets the same voucher, or 202 while the segment is not accepted."""
    answer = await market.db.written(lambda session: service.report_usage(session, market, caller, lease, report))
    crash_points.reach("voucher.committed")
    if report.result is not None:
        wake.market()
    return JSONResponse(answer.model_dump(mode="json"), 202) if isinstance(answer, Waiting) else answer


@router.post("/leases/{lease}/countersign", status_code=204, operation_id="countersign")
async def countersign(lease: str, request: Countersignature, market: TheMarket, caller: Provider) -> Response:
    """The provider agrees to the `last` voucher: the lease closes at once and the rest of the lock comes back."""
    await market.db.written(
        lambda session: vouchers.countersign(
            session, market, service.own_intention(session, caller, lease), request.signature
        )
    )
    wake.market()
    return Response(status_code=204)


@router.post("/leases/{lease}/failure", status_code=204, operation_id="report_failure")
async def report_failure(lease: str, request: FailureReport, market: TheMarket, caller: Provider) -> Response:
    """The provider cannot finish: the job goes on elsewhere."""
    await market.db.written(
        lambda session: ending.report_failure(
            session, market, service.own_intention(session, caller, lease), request.reason
        )
    )
    wake.market()
    return Response(status_code=204)


def _work(session: Session, market: Market, row: LeaseIntention) -> LeaseWork:
    job = session.get_one(JobRow, row.job_id)
    lease = market.mirror.lease(from_hex(row.lease, 32))
    return LeaseWork(
        lease=row.lease,
        fill=row.fill,
        order=json.loads(job.order_message),
        manifest=json.loads(job.manifest),
        resume=_resume(session, job, row),
        state=lease.state.name.lower() if lease else "proposed",
        last_voucher=vouchers.last_voucher(session, market, row),
    )


def _resume(session: Session, job: JobRow, row: LeaseIntention) -> Resume | None:
    """The last paid checkpoint of the lease's own lane; no other lane's is shown."""
    rows = lane_segments(session, job.id, service.lane_of(job, row))
    if not rows:
        return None
    newest = rows[-1]
    return Resume(
        sequence=newest.sequence,
        job_work=newest.job_work,
        lease_work=newest.job_work - row.base_work,
        state_hash=newest.state_hash,
        checkpoint=newest.checkpoint_cid,
        trace=trace_of(rows),
    )
