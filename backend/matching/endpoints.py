"""GET of auctions: public, for whoever audits."""

from fastapi import APIRouter

from backend.door import TheMarket
from backend.errors import NotFound
from backend.matching.tables import AuctionRow
from protocol.wire.auctions import AuctionInfo

router = APIRouter(prefix="/v1/auctions", tags=["auctions"])


@router.get("/{number}", response_model=AuctionInfo, operation_id="get_auction")
async def get_auction(number: int, market: TheMarket) -> AuctionInfo:
    """The book that an auction decided about. Its root is on chain, in the transactions that open its leases."""
    with market.db.read() as session:
        row = session.get(AuctionRow, number) if 0 < number < 2**63 else None
        if row is None:
            raise NotFound(f"no auction {number}")
        return AuctionInfo(
            number=number, root=row.root, pairings=row.pairings, held_time=row.held_time, snapshot=row.snapshot
        )
