"""Blocks, transactions, events: what the chain said."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from explorer.api.answers import Question, answer_one
from explorer.api.asked import Asked, EventsAsked, ListedAt, TransactionsAsked
from explorer.api.listing import Listing, answer_list
from explorer.api.problems import MANY, ONE
from explorer.api.shapes import BlockFact, EventFact, Many, One, TransactionFact
from explorer.api.shapes.chain import block_fact, event_fact, transaction_fact
from explorer.identifiers import NotOnLedger, address_of, block_of, hash_of, spelt
from explorer.routes import LedgerRoute
from indexer.queries import EventRow, EventsWanted, TransactionRow
from protocol.hashing import from_hex

router = APIRouter(prefix="/v1/ledger", tags=["ledger"], route_class=LedgerRoute)


@router.get(
    "/blocks",
    operation_id="listBlocks",
    response_model=Many[BlockFact],
    responses=MANY,
    openapi_extra=ListedAt.described(),
)
async def list_blocks(request: Request) -> Response:
    """Canonical blocks from the deployment's on, newest first."""
    asked = ListedAt.of(request)
    at_block = asked.at_block
    listing: Listing[Any] = Listing(
        fetch=lambda now, *, limit, before=None, after=None: now.blocks(limit, before, after, at_block=at_block),
        place=lambda row: (row.number,),
        block=lambda row: row.number,
        block_hash=lambda row: row.hash,
        fact=lambda row, question: block_fact(row, question.status),
        shape=BlockFact,
        bottom=(-1,),
        count=lambda now: now.count_blocks(at_block=at_block),
        immutable=True,
    )
    return await answer_list(request, asked, listing)


@router.get(
    "/blocks/{block}",
    operation_id="getBlock",
    response_model=One[BlockFact],
    responses=ONE,
    openapi_extra=Asked.described(),
)
async def get_block(request: Request, block: Annotated[str, Path(examples=["35"])]) -> Response:
    """By number or hash; by hash also one that a reorg replaced."""
    asked = Asked.of(request)
    wanted = block_of(block)

    def find(question: Question) -> BlockFact:
        row = question.now.block(wanted)
        if row is None:
            raise NotOnLedger("block", spelt(wanted))
        return block_fact(row, question.status)

    def of(found: BlockFact, question: Question) -> int:
        return found["number"] if found["canonical"] else question.block

    return await answer_one(request, asked, find, of=of)


@router.get(
    "/transactions",
    operation_id="listTransactions",
    response_model=Many[TransactionFact],
    responses=MANY,
    openapi_extra=TransactionsAsked.described(),
)
async def list_transactions(request: Request) -> Response:
    """Canonical transactions that reached the ledger, newest first; of an account: sent by it, to it, or about it."""
    asked = TransactionsAsked.of(request)
    account = address_of(asked.account) if asked.account else None
    listing: Listing[TransactionRow] = Listing(
        fetch=lambda now, *, limit, before=None, after=None: now.transactions(
            account=account, at_block=asked.at_block, limit=limit, before=before, after=after
        ),
        place=lambda row: (row.block_number, row.tx_index),
        block=lambda row: row.block_number,
        block_hash=lambda row: row.block_hash,
        fact=lambda row, question: transaction_fact(row, question.status),
        shape=TransactionFact,
        bottom=(-1, -1),
        immutable=True,
        heavy=account is not None,
    )
    return await answer_list(request, asked, listing)


@router.get(
    "/transactions/{tx_hash}",
    operation_id="getTransaction",
    response_model=One[TransactionFact],
    responses=ONE,
    openapi_extra=Asked.described(),
)
async def get_transaction(request: Request, tx_hash: str) -> Response:
    """Only transactions that reached the ledger are mirrored."""
    asked = Asked.of(request)
    wanted = hash_of(tx_hash, "transaction")

    def find(question: Question) -> TransactionFact:
        row = question.now.transaction(wanted)
        if row is None:
            raise NotOnLedger("transaction", spelt(wanted))
        return transaction_fact(row, question.status)

    def of(found: TransactionFact, question: Question) -> int:
        number = found["block_number"]
        # One that only an orphaned block holds may still come into another.
        stands = question.now.hashes({number}).get(number) == from_hex(found["block_hash"], 32)
        return number if stands else question.block

    return await answer_one(request, asked, find, of=of)


@router.get(
    "/events",
    operation_id="listEvents",
    response_model=Many[EventFact],
    responses=MANY,
    openapi_extra=EventsAsked.described(),
)
async def list_events(request: Request) -> Response:
    """Ledger events, newest first; filters add up."""
    asked = EventsAsked.of(request)
    wanted: EventsWanted = {
        "lease": hash_of(asked.lease, "lease") if asked.lease else None,
        "account": address_of(asked.account) if asked.account else None,
        "tx_hash": hash_of(asked.transaction, "transaction") if asked.transaction else None,
        "block_number": asked.block,
        "kind": asked.kind,
        "canonical": None if asked.orphaned else True,
        "at_block": asked.at_block,
    }
    listing: Listing[EventRow] = Listing(
        fetch=lambda now, *, limit, before=None, after=None: now.events(
            limit=limit, before=before, after=after, **wanted
        ),
        place=_with_branch if asked.orphaned else _place,
        block=lambda row: row.block_number,
        block_hash=None if asked.orphaned else lambda row: row.block_hash,
        fact=lambda row, question: event_fact(row, question.status),
        shape=EventFact,
        bottom=(-1, -1, b"") if asked.orphaned else (-1, -1),
        count=lambda now: now.count_events(**wanted),
        # An orphaned event can come back, and a canonical one can turn up beside it.
        immutable=not asked.orphaned,
    )
    return await answer_list(request, asked, listing)


def _place(row: EventRow) -> tuple[int | bytes, ...]:
    return row.block_number, row.log_index


def _with_branch(row: EventRow) -> tuple[int | bytes, ...]:
    """Two branches can have an event in the same place."""
    return row.block_number, row.log_index, row.block_hash
