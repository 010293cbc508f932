"""Downloads of offline proofs, one payment each."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from explorer.identifiers import Malformed, NotOnLedger, hash_of, spelt
from explorer.routes import PageRoute
from explorer.site import Site, TheSite

router = APIRouter(route_class=PageRoute)
LogIndex = Annotated[int, Query(ge=0, le=10**6)]


async def proof_file(site: Site, tx_hash: bytes, log_index: int) -> Response:
    """The proof of one log as a download; raises `NotOnLedger` where the mirror holds no such event."""
    rows = site.mirror.events(tx_hash=tx_hash, limit=200)
    if not any(row.log_index == log_index for row in rows):
        raise NotOnLedger("event", f"{log_index} of transaction {spelt(tx_hash)}")
    content = await site.proofs.fetch(tx_hash, log_index)
    return Response(
        content,
        media_type="application/json",
        headers={"Content-Disposition": 'attachment; filename="proof.json"', "Cache-Control": "no-cache"},
    )


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


@router.get("/proof/{tx}/{log}", name="proof")
async def proof(site: TheSite, tx: str, log: int) -> Response:
    return await proof_file(site, hash_of(tx, "transaction"), log)
