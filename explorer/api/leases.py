"""Leases, payments and jobs."""

from typing import Any

from fastapi import APIRouter, Request, Response

from explorer.api.answers import Question, answer_one
from explorer.api.asked import AskedAt, LeasesAsked, PaymentsAsked
from explorer.api.listing import Listing, answer_list
from explorer.api.problems import MANY, ONE
from explorer.api.shapes import JobFact, LeaseDetail, LeaseFact, Many, One, PaymentFact
from explorer.api.shapes.leases import lease_detail, lease_fact, payment_fact
from explorer.identifiers import NotOnLedger, address_of, hash_of, job_of, spelt, state_of
from explorer.routes import LedgerRoute
from indexer.queries import LeaseRow, LeasesWanted, PaymentRow, PaymentsWanted
from protocol.hashing import cid_of, to_hex

router = APIRouter(prefix="/v1/ledger", tags=["ledger"], route_class=LedgerRoute)


@router.get(
    "/leases",
    operation_id="listLeases",
    response_model=Many[LeaseFact],
    responses=MANY,
    openapi_extra=LeasesAsked.described(),
)
async def list_leases(request: Request) -> Response:
    """Newest first; filters add up."""
    asked = LeasesAsked.of(request)
    wanted: LeasesWanted = {
        "buyer": address_of(asked.buyer) if asked.buyer else None,
        "provider": address_of(asked.provider) if asked.provider else None,
        "job": job_of(asked.job) if asked.job else None,
        "order": hash_of(asked.order, "order") if asked.order else None,
        "state": state_of(asked.state),
        "at_block": asked.at_block,
    }
    listing: Listing[LeaseRow] = Listing(
        fetch=lambda now, *, limit, before=None, after=None: now.leases(
            limit=limit, before=before, after=after, **wanted
        ),
        place=lambda row: (row.opened_block, row.opened_log_index),
        block=lambda row: row.opened_block,
        fact=_fact,
        shape=LeaseFact,
        bottom=(-1, -1),
        count=lambda now: now.count_leases(**wanted),
    )
    return await answer_list(request, asked, listing)


def _fact(row: LeaseRow, question: Question) -> Any:
    return lease_fact(row, question.level, question.time)


@router.get(
    "/leases/{lease}",
    operation_id="getLease",
    response_model=One[LeaseDetail],
    responses=ONE,
    openapi_extra=AskedAt.described(),
)
async def get_lease(request: Request, lease: str) -> Response:
    """With what its provider claims and what its buyer disputes."""
    asked = AskedAt.of(request)
    wanted = hash_of(lease, "lease")

    def find(question: Question) -> LeaseDetail:
        now, at_block = question.now, question.at_block
        row = now.lease(wanted, at_block=at_block)
        if row is None:
            raise NotOnLedger("lease", spelt(wanted))
        claim, dispute = now.claim(wanted, at_block=at_block), now.dispute(wanted, at_block=at_block)
        return lease_detail(row, claim, dispute, question.level, question.time)

    return await answer_one(request, asked, find)


@router.get(
    "/payments",
    operation_id="listPayments",
    response_model=Many[PaymentFact],
    responses=MANY,
    openapi_extra=PaymentsAsked.described(),
)
async def list_payments(request: Request) -> Response:
    """Money that moved to providers, by vouchers and as leases closed, newest first."""
    asked = PaymentsAsked.of(request)
    wanted: PaymentsWanted = {
        "lease": hash_of(asked.lease, "lease") if asked.lease else None,
        "provider": address_of(asked.provider) if asked.provider else None,
        "at_block": asked.at_block,
    }
    listing: Listing[PaymentRow] = Listing(
        fetch=lambda now, *, limit, before=None, after=None: now.payments(
            limit=limit, before=before, after=after, **wanted
        ),
        place=lambda row: (row.block_number, row.log_index),
        block=lambda row: row.block_number,
        fact=lambda row, question: payment_fact(row, question.status),
        shape=PaymentFact,
        bottom=(-1, -1),
        count=lambda now: now.count_payments(**wanted),
        immutable=True,
    )
    return await answer_list(request, asked, listing)


@router.get(
    "/jobs/{job}", operation_id="getJob", response_model=One[JobFact], responses=ONE, openapi_extra=AskedAt.described()
)
async def get_job(request: Request, job: str) -> Response:
    """By job hash (hex or CID): its newest leases, 200 at most, and the results that were accepted."""
    asked = AskedAt.of(request)
    wanted = job_of(job)

    def find(question: Question) -> JobFact:
        leases = question.now.job(wanted, at_block=question.at_block)
        if not leases:
            raise NotOnLedger("job", spelt(wanted))
        results = question.now.results([lease.lease for lease in leases], at_block=question.at_block)
        return {
            "object": "job",
            "job": to_hex(wanted),
            "cid": cid_of(wanted),
            "paid_base": str(sum(row.paid_base for row in leases)),
            "results": [to_hex(result) for result in results],
            "leases": [lease_fact(row, question.level, question.time) for row in leases],
        }

    return await answer_one(request, asked, find)
