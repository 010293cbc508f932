"""Status, blocks, transactions, events, reorgs: what the chain said and how far the mirror has read."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from explorer.api.shapes import (
    BlockFact,
    EventFact,
    Many,
    One,
    ReorgFact,
    StatsFact,
    StatusFact,
    TransactionFact,
    block_fact,
    event_fact,
    reorg_fact,
    stats_fact,
    status_fact,
    transaction_fact,
)
from explorer.identifiers import NotOnLedger, address_of, block_of, hash_of, spelt
from explorer.paging import Limit, PageToken, page_of, position_of
from explorer.responses import fact
from explorer.routes import LedgerRoute
from explorer.site import TheSite

router = APIRouter(prefix="/v1/ledger", tags=["ledger"], route_class=LedgerRoute)


@router.get("/status", response_model=One[StatusFact])
async def get_status(site: TheSite) -> Response:
    """The mirror's head block, the ledger head there, and the newest block that it is proved for."""
    status = site.mirror.status()
    return fact(site, status_fact(status), status=status)


@router.get("/stats", response_model=One[StatsFact])
async def get_stats(site: TheSite) -> Response:
    """Totals over all canonical events."""
    return fact(site, stats_fact(site.mirror.stats()))


@router.get("/blocks", response_model=Many[BlockFact])
async def list_blocks(site: TheSite, limit: Limit = 50, page_token: PageToken = None) -> Response:
    before = position_of(page_token)
    rows = site.mirror.blocks(limit=limit + 1, before=before[0] if before else None)
    page, token = page_of(rows, limit, lambda row: (row.number, 0))
    return fact(site, [block_fact(row) for row in page], token)


@router.get("/blocks/{block}", response_model=One[BlockFact])
async def get_block(site: TheSite, block: str) -> Response:
    """By number or hash."""
    wanted = block_of(block)
    row = site.mirror.block(wanted)
    if row is None:
        raise NotOnLedger("block", spelt(wanted))
    return fact(site, block_fact(row))


@router.get("/transactions/{tx_hash}", response_model=One[TransactionFact])
async def get_transaction(site: TheSite, tx_hash: str) -> Response:
    """Only transactions that reached the ledger are mirrored."""
    wanted = hash_of(tx_hash, "transaction")
    row = site.mirror.transaction(wanted)
    if row is None:
        raise NotOnLedger("transaction", spelt(wanted))
    return fact(site, transaction_fact(row))


@router.get("/events", response_model=Many[EventFact])
async def list_events(
    site: TheSite,
    *,
    lease: str | None = None,
    account: str | None = None,
    transaction: str | None = None,
    block: Annotated[int | None, Query(ge=0, le=2**62)] = None,
    kind: Annotated[str | None, Query(max_length=40, description="an event name, such as LeaseOpened")] = None,
    orphaned: Annotated[bool, Query(description="also those that a reorg undid")] = False,
    limit: Limit = 50,
    page_token: PageToken = None,
) -> Response:
    """Ledger events, newest first; filters add up."""
    rows = site.mirror.events(
        lease=hash_of(lease, "lease") if lease else None,
        account=address_of(account) if account else None,
        tx_hash=hash_of(transaction, "transaction") if transaction else None,
        block_number=block,
        kind=kind,
        canonical=None if orphaned else True,
        limit=limit + 1,
        before=position_of(page_token),
    )
    page, token = page_of(rows, limit, lambda row: (row.block_number, row.log_index))
    return fact(site, [event_fact(row) for row in page], token)


@router.get("/reorgs", response_model=Many[ReorgFact])
async def list_reorgs(site: TheSite, limit: Limit = 50) -> Response:
    """Every time the chain replaced blocks that the mirror had read, newest first."""
    return fact(site, [reorg_fact(row) for row in site.mirror.reorgs(limit=limit)])
