"""What every endpoint starts with: the market, and who is calling.

None depends on another one, for the framework takes longer to solve a dependency than most of them need.
"""

from typing import Annotated, Final

from fastapi import Depends, Request

from backend.accounts import scopes
from backend.accounts.service import Principal, identify, is_noted, note_use
from backend.accounts.tables import ApiKeyRow
from backend.errors import NotAllowed, ScopeMissing
from backend.limits import class_of, remember
from backend.market import Market


async def market_of(request: Request) -> Market:
    """`async`, for the framework asks any other kind of function in a thread of its own."""
    market: Market = request.app.state.market
    return market


TheMarket = Annotated[Market, Depends(market_of)]


async def bearer(request: Request) -> str | None:
    """The credential of `Authorization: Bearer`."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


Token = Annotated[str | None, Depends(bearer)]


async def principal(request: Request) -> Principal:
    """The caller; raises `NotSignedIn`, `ScopeMissing`, `NotAllowed`, `TooManyRequests`, `LimitsUnknown`."""
    market = await market_of(request)
    with market.db.engine.connect() as connection:
        caller = identify(connection, await bearer(request))
    method, path = request.method, request.url.path
    remember(request.scope, await market.limits.take("credential", class_of(method, path), caller.credential))
    key = caller.api_key
    if key is not None:
        _require_scope(key, method, path)
        if not is_noted(key):
            await market.db.written(lambda session: note_use(session, key.id))
    return caller


def _require_scope(key: ApiKeyRow, method: str, path: str) -> None:
    needed = scopes.needed(method, path)
    if needed is None:
        raise NotAllowed("this call needs a wallet's session", remedy="sign in with POST /v1/auth/verify")
    if needed not in key.scopes.split():
        raise ScopeMissing(
            f"API key {key.prefix}… lacks the scope {needed}",
            remedy=f"add {needed} to its scopes by PATCH /v1/keys/{key.id} with the wallet's session",
            scope=needed,
            key_id=key.id,
        )


Caller = Annotated[Principal, Depends(principal)]


async def api_key(request: Request) -> ApiKeyRow:
    """The caller's API key; a bare session cannot sign orders."""
    caller = await principal(request)
    if caller.api_key is None:
        raise NotAllowed("this call needs an API key", remedy="make one with POST /v1/keys (gridlease login)")
    return caller.api_key


KeyHolder = Annotated[ApiKeyRow, Depends(api_key)]


async def wallet(request: Request) -> Principal:
    """The caller must have signed in with its wallet; a program's key cannot make keys or offers."""
    caller = await principal(request)
    if caller.api_key is not None:
        raise NotAllowed("this call needs a wallet's session", remedy="sign in with POST /v1/auth/verify")
    return caller


Wallet = Annotated[Principal, Depends(wallet)]

WHO_CALLS: Final = frozenset({principal, api_key, wallet})
"""What asks for a credential."""
