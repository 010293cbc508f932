"""What a provider's agent calls. Every call also says that the provider is alive."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from backend import crash_points, wake
from backend.door import TheMarket, Wallet, market_of, wallet
from backend.errors import RequestRefused, status_of
from backend.leases import ending, reading, receiving, service, vouchers, work
from backend.market import Market
from backend.plain_calls import PlainCall, plain_body
from protocol.errors import GridleaseError
from protocol.wire.leases import (
    CommitmentAnswer,
    Countersignature,
    FailureReport,
    LeasePage,
    LeaseWork,
    SignedVoucher,
    UsageAnswers,
    UsageCommitment,
    UsageReport,
    UsageReports,
    Waiting,
)
from protocol.wire.problems import Problem

router = APIRouter(prefix="/v1/provider", tags=["provider"])

_AT_ONCE: Final = 4
"""Reports of one call that are one piece of work: whoever buys waits for a piece, not for a call."""


async def live_provider(market: TheMarket, caller: Wallet) -> Wallet:
    """The signed-in provider, noted as alive."""
    market.presence.hear(caller.address)
    return caller


Provider = Annotated[Wallet, Depends(live_provider)]


def _said(answer: BaseModel, status: int = 200) -> Response:
    """As it is: the framework would check and copy again what we made ourselves."""
    return _plain(answer.model_dump_json().encode(), status)


def _plain(answer: bytes, status: int = 200) -> Response:
    return Response(answer, status, media_type="application/json")


@router.get("/leases", response_model=LeasePage, operation_id="provider_leases")
async def provider_leases(market: TheMarket, caller: Provider) -> Response:
    """The leases that are this provider's to serve, or to countersign. Hints: the chain decides."""
    with market.db.read() as session:
        return _plain(work.open_business(session, market, caller.address))


@router.get("/leases/{lease}", response_model=LeaseWork, operation_id="provider_lease")
async def provider_lease(lease: str, market: TheMarket, caller: Provider) -> Response:
    """One lease with the checkpoint to resume from."""
    with market.db.read() as session:
        return _plain(work.shown(session, market, service.own_intention(session, caller, lease).lease))


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
async def report_usage(lease: str, report: UsageReport, market: TheMarket, caller: Provider) -> Response:
    """One segment for one voucher. The same again gets the same voucher, or 202 while the segment is not accepted."""
    one = reading.read(market.domain, report)
    terms = reading.look(market, caller.address, [one])
    reading.work_out(market, caller.address, one, terms)
    answer = await market.db.written(lambda session: receiving.report_usage(session, market, caller, lease, one, terms))
    crash_points.reach("voucher.committed")
    if report.result is not None:
        wake.market()
    return _said(answer, 202) if isinstance(answer, Waiting) else _plain(orjson.dumps(_voucher(answer)))


@router.post("/usage-receipts", response_model=UsageAnswers, operation_id="report_usages")
async def report_usages(asked: UsageReports, market: TheMarket, caller: Provider) -> Response:
    """Segments of several leases in one call; each is answered as by itself, and one that is refused alone is."""
    reports = [reading.read(market.domain, report) for report in asked.reports]
    terms = reading.look(market, caller.address, reports)
    answers: dict[int, receiving.Answer] = {}
    for start in range(0, len(reports), _AT_ONCE):
        found = await _answered(market, caller, reports[start : start + _AT_ONCE], terms)
        answers |= {start + place: answer for place, answer in found.items()}
    for place, report in enumerate(reports):
        if place not in answers:
            answers[place] = (await _answered(market, caller, [report], terms))[0]
    if any(report.result is not None for report in asked.reports):
        wake.market()
    return _plain(orjson.dumps({"data": [_told(answers[place]) for place in range(len(reports))]}))


async def _answered(
    market: Market, caller: Wallet, reports: Sequence[reading.Reading], terms: reading.Terms
) -> dict[int, receiving.Answer]:
    for report in reports:
        reading.work_out(market, caller.address, report, terms)
    answers = await market.db.written(lambda session: receiving.report_usages(session, market, caller, reports, terms))
    crash_points.reach("voucher.committed")
    return answers


def _told(answer: receiving.Answer) -> dict[str, Any]:
    """A `UsageAnswer`."""
    told: dict[str, Any] = {"voucher": None, "waiting": None, "problem": None}
    if isinstance(answer, receiving.Vouched):
        return told | {"voucher": _voucher(answer)}
    if isinstance(answer, Waiting):
        return told | {"waiting": answer.model_dump()}
    return told | {"problem": _problem(answer).model_dump(mode="json")}


def _voucher(answer: receiving.Vouched) -> dict[str, Any]:
    """A `SignedVoucher`, as it is stored."""
    return {"voucher": orjson.Fragment(answer.message), "signature": answer.signature}


def _problem(error: GridleaseError) -> Problem:
    status = status_of(error)
    remedy, facts = (error.said_remedy, error.facts) if isinstance(error, RequestRefused) else (None, {})
    return Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        # It may say again what a stranger sent, which JSON can write and UTF-8 cannot: half a surrogate pair.
        detail=str(error).encode(errors="replace").decode(),
        code=error.code,
        remedy=remedy or None,
        **facts,
    )


@router.post("/leases/{lease}/countersign", status_code=204, operation_id="countersign")
async def countersign(lease: str, request: Countersignature, market: TheMarket, caller: Provider) -> Response:
    """The provider agrees to the `last` voucher: the lease closes at once and the rest of the lock comes back."""
    await market.db.written(
        lambda session: vouchers.countersign(
            session, market, service.own_pinned(session, caller, lease)[0], request.signature
        )
    )
    wake.market()
    return Response(status_code=204)


@router.post("/leases/{lease}/failure", status_code=204, operation_id="report_failure")
async def report_failure(lease: str, request: FailureReport, market: TheMarket, caller: Provider) -> Response:
    """The provider cannot finish: the job goes on elsewhere."""
    await market.db.written(
        lambda session: ending.report_failure(
            session, market, *service.own_pinned(session, caller, lease), reason=request.reason
        )
    )
    wake.market()
    return Response(status_code=204)


async def _provider_of(request: Request) -> Wallet:
    return await live_provider(await market_of(request), await wallet(request))


async def _leases_plainly(request: Request) -> Response:
    return await provider_leases(await market_of(request), await _provider_of(request))


async def _report_plainly(request: Request) -> Response | None:
    asked = await plain_body(request, UsageReports)
    if asked is None:
        return None
    return await report_usages(asked, await market_of(request), await _provider_of(request))


PLAIN: Final = (
    PlainCall("GET", f"{router.prefix}/leases", _leases_plainly),
    PlainCall("POST", f"{router.prefix}/usage-receipts", _report_plainly),
)
"""What agents call all the time."""
