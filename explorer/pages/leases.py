"""Leases: the list, and the page of one with its terms, its story, its payments and the Verify panel."""

from fastapi import APIRouter, Request, Response

from explorer.checks import Check, head_check, money_check, proof_checks
from explorer.identifiers import NotOnLedger, hash_of, spelt, state_of
from explorer.paging import PAGE_SIZE, PageToken, page_of, position_of
from explorer.responses import page
from explorer.routes import PageRoute
from explorer.site import Site, TheSite
from explorer.standing import closings_of, result_of, standing, timeline
from indexer.queries import LeaseRow, MirrorStatus, PaymentRow
from protocol.hashing import to_hex

router = APIRouter(route_class=PageRoute)
_EVENTS = 500


@router.get("/leases", name="leases")
async def leases_page(
    request: Request,
    site: TheSite,
    state: str = "",
    page_token: PageToken = None,
) -> Response:
    rows = site.mirror.leases(state=state_of(state), limit=PAGE_SIZE + 1, before=position_of(page_token))
    leases, token = page_of(rows, PAGE_SIZE, lambda row: (row.opened_block, row.opened_log_index))
    return page(request, site, "leases.html", leases=leases, state=state, next_page_token=token)


@router.get("/lease/{lease}", name="lease")
async def lease_page(request: Request, site: TheSite, lease: str) -> Response:
    wanted = hash_of(lease, "lease")
    status = site.mirror.status()
    row = site.mirror.lease(wanted)
    events = site.mirror.events(lease=wanted, canonical=None, limit=_EVENTS)
    if row is None and events:
        return page(request, site, "undone.html", lease=wanted, chapters=timeline(events))
    if row is None:
        raise NotOnLedger("lease", spelt(wanted))
    payments = site.mirror.payments(lease=wanted, limit=_EVENTS)[::-1]
    newest = max((event.block_number for event in events), default=row.opened_block)
    return page(
        request,
        site,
        "lease.html",
        status=status,
        lease=row,
        standing=standing(row, status.block_time),
        chapters=timeline(events),
        claim=site.mirror.claim(wanted),
        dispute=site.mirror.dispute(wanted),
        payments=payments,
        closings=closings_of(events),
        result=result_of(events),
        siblings=[other for other in site.mirror.leases(order=row.order, limit=16) if other.lease != row.lease],
        checks=await _checks(site, row, payments, status, newest),
    )


async def _checks(
    site: Site, lease: LeaseRow, payments: list[PaymentRow], status: MirrorStatus, newest_block: int
) -> list[Check]:
    """All checks of the page; those of the trie are made on the newest payment, whose proof is fetched and verified."""
    checks = [money_check(lease, payments, status.block_time), head_check(status, newest_block)]
    if not payments:
        return checks
    newest = payments[-1]
    block = site.mirror.block(newest.block_number)
    if block is None:
        return checks
    outcome = await site.proofs.check(newest.tx_hash, newest.log_index, block.hash)
    return proof_checks(outcome.holds, outcome.says, to_hex(block.hash), status.ledger) + checks
