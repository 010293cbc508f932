"""One job by its hash: every lease that served it, and what it came to."""

from fastapi import APIRouter, Request, Response

from explorer.identifiers import NotOnLedger, job_of, spelt
from explorer.responses import page
from explorer.routes import PageRoute
from explorer.site import TheSite
from protocol.hashing import cid_of

router = APIRouter(route_class=PageRoute)


@router.get("/job/{job}", name="job")
async def job_page(request: Request, site: TheSite, job: str) -> Response:
    wanted = job_of(job)
    leases = site.mirror.job(wanted)
    if not leases:
        raise NotOnLedger("job", spelt(wanted))
    accepted = [
        payment for lease in leases for payment in site.mirror.payments(lease=lease.lease, limit=200) if payment.last
    ]
    return page(
        request,
        site,
        "job.html",
        job=wanted,
        cid=cid_of(wanted),
        leases=leases,
        results=sorted({payment.result for payment in accepted}),
    )
