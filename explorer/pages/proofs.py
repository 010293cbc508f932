"""Downloads of offline proofs, and the page that checks one in the browser."""

from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from explorer.identifiers import Malformed, NotOnLedger, hash_of, spelt
from explorer.responses import page
from explorer.routes import PageRoute
from explorer.site import Site, TheSite

router = APIRouter(route_class=PageRoute)
_UNMARKED: Final = {"Cache-Control": "no-cache"}
LogIndex = Annotated[int, Query(ge=0, le=10**6)]


async def proof_file(site: Site, tx_hash: bytes, log_index: int) -> Response:
    """The proof of one log as a download; raises `NotOnLedger` where the mirror holds no such event."""
    rows = site.mirror.events(tx_hash=tx_hash, limit=200)
    if not any(row.log_index == log_index for row in rows):
        raise NotOnLedger("event", f"{log_index} of transaction {spelt(tx_hash)}")
    return download(await site.proofs.fetch(tx_hash, log_index))


def download(content: bytes, marks: Mapping[str, str] = _UNMARKED) -> Response:
    """A proof file as a download; `marks`: what else its headers say."""
    headers = {"Content-Disposition": 'attachment; filename="proof.json"', **marks}
    return Response(content, media_type="application/json", headers=headers)


@router.get("/lease/{lease}/proof.json", name="lease_proof")
async def lease_proof(site: TheSite, lease: str, tx: str | None = None, log: LogIndex | None = None) -> Response:
    """The proof of one of the lease's events; without `tx` and `log`, of its newest payment."""
    wanted = hash_of(lease, "lease")
    if tx is not None and log is not None:
        tx_hash, log_index = hash_of(tx, "transaction"), log
        rows = site.mirror.events(tx_hash=tx_hash, lease=wanted, limit=200)
        if not any(row.log_index == log_index for row in rows):
            raise NotOnLedger("event", f"{log_index} of transaction {spelt(tx_hash)} for this lease")
        return await proof_file(site, tx_hash, log_index)
    if tx is not None or log is not None:
        raise Malformed("event", "`tx` and `log` name it only together", "give both, or none for the newest payment")
    newest = site.mirror.payments(lease=wanted, limit=1)
    if not newest:
        raise NotOnLedger("payment of lease", spelt(wanted))
    return await proof_file(site, newest[0].tx_hash, newest[0].log_index)


@router.get("/check", name="check")
async def check_page(request: Request, site: TheSite, tx: str | None = None, log: LogIndex | None = None) -> Response:
    """Checks a file of the reader's, or the proof of the event that `tx` and `log` name."""
    if tx is None or log is None:
        return page(request, site, "check.html", proof=None, block_hash=None)
    tx_hash = hash_of(tx, "transaction")
    rows = [row for row in site.mirror.events(tx_hash=tx_hash, limit=200) if row.log_index == log]
    if not rows:
        raise NotOnLedger("event", f"{log} of transaction {spelt(tx_hash)}")
    link = f"/proof/{spelt(tx_hash)}/{log}"
    return page(request, site, "check.html", proof=link, block_hash=spelt(rows[0].block_hash))


@router.get("/proof/{tx}/{log}", name="proof")
async def proof(site: TheSite, tx: str, log: int) -> Response:
    return await proof_file(site, hash_of(tx, "transaction"), log)
