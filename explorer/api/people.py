"""Accounts with their delegates and statements, and providers."""

from typing import Any

from fastapi import APIRouter, Request, Response

from explorer.api.answers import Question, answer_one
from explorer.api.asked import AskedAt, ListedAt
from explorer.api.listing import Listing, answer_list
from explorer.api.problems import MANY, ONE
from explorer.api.shapes import AccountFact, DelegateFact, Many, MovementFact, One, ProviderFact
from explorer.api.shapes.people import account_fact, delegate_fact, movement_fact, provider_fact
from explorer.identifiers import NotOnLedger, address_of
from explorer.routes import LedgerRoute
from protocol.hashing import from_hex

router = APIRouter(prefix="/v1/ledger", tags=["ledger"], route_class=LedgerRoute)


@router.get(
    "/accounts",
    operation_id="listAccounts",
    response_model=Many[AccountFact],
    responses=MANY,
    openapi_extra=ListedAt.described(),
)
async def list_accounts(request: Request) -> Response:
    """Every account that the ledger saw, by falling address."""
    asked = ListedAt.of(request)
    listing: Listing[Any] = Listing(
        fetch=lambda now, *, limit, before=None, after=None: now.all_accounts(
            at_block=asked.at_block, limit=limit, before=before, after=after
        ),
        place=lambda row: (from_hex(row.address, 20),),
        # Addresses do not move: a page stays where it is through any reorg.
        block=None,
        fact=lambda row, _: account_fact(row),
        shape=AccountFact,
        bottom=(b"",),
    )
    return await answer_list(request, asked, listing)


@router.get(
    "/accounts/{address}",
    operation_id="getAccount",
    response_model=One[AccountFact],
    responses=ONE,
    openapi_extra=AskedAt.described(),
)
async def get_account(request: Request, address: str) -> Response:
    """Zeros for an address that the ledger never saw."""
    asked = AskedAt.of(request)
    account = address_of(address)

    def find(question: Question) -> AccountFact:
        return account_fact(question.now.account(account, at_block=question.at_block))

    return await answer_one(request, asked, find)


@router.get(
    "/accounts/{address}/statement",
    operation_id="listStatement",
    response_model=Many[MovementFact],
    responses=MANY,
    openapi_extra=ListedAt.described(),
)
async def list_statement(request: Request, address: str) -> Response:
    """Every movement of its free, locked and bonded money, newest first, with the balances after it."""
    asked = ListedAt.of(request)
    account = address_of(address)
    listing: Listing[Any] = Listing(
        fetch=lambda now, *, limit, before=None, after=None: now.statement(
            account, at_block=asked.at_block, limit=limit, before=before, after=after
        ),
        place=lambda row: (row.block_number, row.log_index),
        block=lambda row: row.block_number,
        block_hash=lambda row: row.block_hash,
        fact=lambda row, question: movement_fact(row, question.status),
        shape=MovementFact,
        bottom=(-1, -1),
        immutable=True,
        heavy=True,
    )
    return await answer_list(request, asked, listing)


@router.get(
    "/accounts/{address}/delegates",
    operation_id="listDelegates",
    response_model=Many[DelegateFact],
    responses=MANY,
    openapi_extra=ListedAt.described(),
)
async def list_delegates(request: Request, address: str) -> Response:
    """Keys that it ever approved, with what remains of their caps, by falling address."""
    asked = ListedAt.of(request)
    account = address_of(address)
    listing: Listing[Any] = Listing(
        fetch=lambda now, *, limit, before=None, after=None: now.delegates(
            account, at_block=asked.at_block, limit=limit, before=before, after=after
        ),
        place=lambda row: (from_hex(row.key, 20),),
        block=None,
        fact=lambda row, _: delegate_fact(row),
        shape=DelegateFact,
        bottom=(b"",),
    )
    return await answer_list(request, asked, listing)


@router.get(
    "/providers",
    operation_id="listProviders",
    response_model=Many[ProviderFact],
    responses=MANY,
    openapi_extra=ListedAt.described(),
)
async def list_providers(request: Request) -> Response:
    """Those that earned most first. Earnings grow while you page: `at_block` holds them still."""
    asked = ListedAt.of(request)
    listing: Listing[Any] = Listing(
        fetch=lambda now, *, limit, before=None, after=None: now.providers(
            limit, at_block=asked.at_block, before=before, after=after
        ),
        place=lambda row: (row.earned_base, from_hex(row.address, 20)),
        block=None,
        fact=lambda row, _: provider_fact(row),
        shape=ProviderFact,
        bottom=(-1, b""),
        heavy=True,
    )
    return await answer_list(request, asked, listing)


@router.get(
    "/providers/{address}",
    operation_id="getProvider",
    response_model=One[ProviderFact],
    responses=ONE,
    openapi_extra=AskedAt.described(),
)
async def get_provider(request: Request, address: str) -> Response:
    asked = AskedAt.of(request)
    account = address_of(address)

    def find(question: Question) -> ProviderFact:
        row = question.now.provider(account, at_block=question.at_block)
        if row is None:
            raise NotOnLedger("provider", account)
        return provider_fact(row)

    return await answer_one(request, asked, find)
