"""GET of auctions: public, for whoever audits."""

from fastapi import APIRouter
from sqlmodel import col, select

from backend.door import TheMarket
from backend.errors import NotFound
from backend.matching.tables import AuctionRow, BookEntryRow
from protocol.wire.auctions import AuctionInfo, BookEntryInfo

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


@router.get("/entries/{digest}", response_model=BookEntryInfo, operation_id="get_book_entry")
async def get_book_entry(digest: str, market: TheMarket) -> BookEntryInfo:
    """The place in the book of an offer or order, by its EIP-712 digest, and the auction that told of its leaving."""
    with market.db.read() as session:
        row = session.exec(select(BookEntryRow).where(col(BookEntryRow.hash) == digest.lower())).one_or_none()
        if row is None:
            raise NotFound(f"nothing in the book has the digest {digest}")
        return BookEntryInfo(
            hash=row.hash,
            kind="offer" if row.kind == "offer" else "order",
            sequence=row.sequence,
            received_time=row.received_time,
            left_in=row.left_in,
        )
