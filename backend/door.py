"""What every endpoint starts with: the market, and who is calling."""

from typing import Annotated

from fastapi import Depends, Request

from backend.accounts.service import Principal, identify, is_noted, note_use
from backend.accounts.tables import ApiKeyRow
from backend.errors import NotAllowed
from backend.market import Market


def market_of(request: Request) -> Market:
    market: Market = request.app.state.market
    return market


TheMarket = Annotated[Market, Depends(market_of)]


async def principal(request: Request, market: TheMarket) -> Principal:
    """The caller by `Authorization: Bearer`; raises `NotSignedIn`."""
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    with market.db.read() as session:
        caller = identify(session, bearer.strip() if scheme.lower() == "bearer" else None)
    if caller.api_key is not None and not is_noted(caller.api_key):
        with market.db.write() as session:
            note_use(session, caller.api_key.id)
    return caller


Caller = Annotated[Principal, Depends(principal)]


async def api_key(caller: Caller) -> ApiKeyRow:
    """The caller's API key; a bare session cannot sign orders."""
    if caller.api_key is None:
        raise NotAllowed("this call needs an API key", remedy="make one with POST /v1/keys (gridlease login)")
    return caller.api_key


KeyHolder = Annotated[ApiKeyRow, Depends(api_key)]


async def wallet(caller: Caller) -> Principal:
    """The caller must have signed in with its wallet; a program's key cannot make keys or offers."""
    if caller.api_key is not None:
        raise NotAllowed("this call needs a wallet's session", remedy="sign in with POST /v1/auth/verify")
    return caller


Wallet = Annotated[Principal, Depends(wallet)]
