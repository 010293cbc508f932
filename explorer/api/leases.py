"""Leases, payments and jobs."""

from fastapi import APIRouter, Response

from explorer.api.shapes import (
    JobFact,
    LeaseDetail,
    LeaseFact,
    Many,
    One,
    PaymentFact,
    lease_detail,
    lease_fact,
    payment_fact,
)
from explorer.identifiers import NotOnLedger, address_of, hash_of, job_of, spelt, state_of
from explorer.paging import Limit, PageToken, page_of, position_of
from explorer.responses import fact
from explorer.routes import LedgerRoute
from explorer.site import TheSite
from protocol.hashing import cid_of, to_hex

router = APIRouter(prefix="/v1/ledger", tags=["ledger"], route_class=LedgerRoute)


@router.get("/leases", response_model=Many[LeaseFact])
async def list_leases(
    site: TheSite,
    *,
    buyer: str | None = None,
    provider: str | None = None,
    job: str | None = None,
    order: str | None = None,
    state: str = "",
    limit: Limit = 50,
    page_token: PageToken = None,
) -> Response:
    """Newest first; filters add up. `state` is the stored one: open, closing, claimed, disputed or closed."""
    status = site.mirror.status()
    rows = site.mirror.leases(
        buyer=address_of(buyer) if buyer else None,
        provider=address_of(provider) if provider else None,
        job=job_of(job) if job else None,
        order=hash_of(order, "order") if order else None,
        state=state_of(state),
        limit=limit + 1,
        before=position_of(page_token),
    )
    page, token = page_of(rows, limit, lambda row: (row.opened_block, row.opened_log_index))
    return fact(site, [lease_fact(row, status.block_time) for row in page], token, status)


@router.get("/leases/{lease}", response_model=One[LeaseDetail])
async def get_lease(site: TheSite, lease: str) -> Response:
    wanted = hash_of(lease, "lease")
    status = site.mirror.status()
    row = site.mirror.lease(wanted)
    if row is None:
        raise NotOnLedger("lease", spelt(wanted))
    detail = lease_detail(row, site.mirror.claim(wanted), site.mirror.dispute(wanted), status.block_time)
    return fact(site, detail, status=status)


@router.get("/payments", response_model=Many[PaymentFact])
async def list_payments(
    site: TheSite,
    *,
    lease: str | None = None,
    provider: str | None = None,
    limit: Limit = 50,
    page_token: PageToken = None,
) -> Response:
    """Money that moved to providers, by vouchers and as leases closed, newest first."""
    rows = site.mirror.payments(
        lease=hash_of(lease, "lease") if lease else None,
        provider=address_of(provider) if provider else None,
        limit=limit + 1,
        before=position_of(page_token),
    )
    page, token = page_of(rows, limit, lambda row: (row.block_number, row.log_index))
    return fact(site, [payment_fact(row) for row in page], token)


@router.get("/jobs/{job}", response_model=One[JobFact])
async def get_job(site: TheSite, job: str) -> Response:
    """By job hash (hex or CID): its leases and the results that were accepted."""
    wanted = job_of(job)
    status = site.mirror.status()
    leases = site.mirror.job(wanted)
    if not leases:
        raise NotOnLedger("job", spelt(wanted))
    payments = [row for lease in leases for row in site.mirror.payments(lease=lease.lease, limit=200)]
    data: JobFact = {
        "object": "job",
        "job": to_hex(wanted),
        "cid": cid_of(wanted),
        "paid_base": str(sum(row.paid_base for row in leases)),
        "results": sorted({to_hex(row.result) for row in payments if row.last}),
        "leases": [lease_fact(row, status.block_time) for row in leases],
    }
    return fact(site, data, status=status)
