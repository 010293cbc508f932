"""Offline proofs for programs: the same bytes as the lease page's download."""

from fastapi import APIRouter, Response

from explorer.identifiers import hash_of
from explorer.pages.proofs import proof_file
from explorer.routes import LedgerRoute
from explorer.site import TheSite

router = APIRouter(prefix="/v1/ledger", tags=["ledger"], route_class=LedgerRoute)


@router.get("/proofs/{tx_hash}/{log_index}")
async def get_proof(site: TheSite, tx_hash: str, log_index: int) -> Response:
    """Header, receipts-trie path and log of one event; check it with `gridlease verify FILE --block-hash HASH`."""
    return await proof_file(site, hash_of(tx_hash, "transaction"), log_index)
