"""Two kinds of route: pages answer every failure with a page, the JSON API with problem+json.

The failures are mapped here, per route and not per app: the backend beside us keeps its own.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from explorer.failures import Failure, Refused, before_the_ledger
from explorer.identifiers import Malformed, NoSuchPage, NotOnLedger
from explorer.responses import SAFETY_HEADERS, page, refusal, refuse, unready, without_body
from explorer.site import Site
from explorer.spelling import visible
from protocol.errors import MirrorError

_log = structlog.get_logger()
_Handler = Callable[[Request], Coroutine[Any, Any, Response]]
_EXPECTED: Final = (Malformed, NotOnLedger, Refused, RequestValidationError, MirrorError)


def failure_of(error: Exception, site: Site) -> Failure:
    """What to tell the reader; raises the error again where it is not an expected one."""
    match error:
        case Refused():
            return error.failure
        case Malformed():
            return Failure(
                status=400,
                code="malformed",
                title=f"Not a valid {error.field.replace('_', ' ')}",
                detail=visible(error.fact, 200),
                remedy=error.remedy,
            )
        case RequestValidationError():
            first = error.errors()[0]
            field = str(first["loc"][-1])
            return Failure(
                status=400,
                code="malformed",
                title="A parameter is wrong",
                detail=f"{field}: {first['msg']}",
                remedy=f"correct or leave out `{field}`",
            )
        case NoSuchPage():
            return Failure(
                status=404,
                code="no_such_page",
                title="No such page",
                detail=f"This site has no {visible(str(error))}",
                remedy="search for what you were looking for",
            )
        case NotOnLedger():
            return _unknown(error, site)
        case MirrorError():
            # The error's own words name files of the machine: they are for the log, not for the reader.
            return Failure(
                status=503,
                code=error.code,
                title="The mirror is not ready",
                detail="It has not read the ledger's first block yet, or it is being rebuilt from the chain",
                remedy="wait a few seconds; if it stays so, see that `gridlease indexer run` is up",
                headers={"Retry-After": "3"},
            )
    raise error


def _unknown(error: NotOnLedger, site: Site) -> Failure:
    status = site.mirror.status()
    if error.noun == "block" and error.spelt.isdigit() and int(error.spelt) < status.deploy_block:
        return before_the_ledger(error.spelt, status.deploy_block, status.chain_id)
    verified = status.proved_number is not None and status.proved_number >= status.block_number
    return Failure(
        status=404,
        code="not_on_ledger",
        title=f"No such {error.noun}",
        detail=f"{visible(error.spelt)} is not on this ledger up to block {status.block_number}"
        + (" (verified)" if verified else ""),
        remedy="if it was sent just now, wait for a block; else check the chain id and copy it again",
    )


class PageRoute(APIRoute):
    """Every answer is a page with the safety headers; HEAD answers like GET, as link checkers ask."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.methods = (self.methods or set()) | {"HEAD"}

    def get_route_handler(self) -> _Handler:
        answer = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                response = await answer(request)
            except _EXPECTED as error:
                return failure_page(request, error)
            response.headers.update(SAFETY_HEADERS)
            return response

        return handler


class LedgerRoute(APIRoute):
    """Every failure is problem+json, another method included; HEAD answers like GET, without the body.

    HEAD is not among `methods`: the OpenAPI document would list every operation twice.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] in self._taken():
            await self.app(scope, receive, send)
            return
        failure = Failure(
            status=405,
            code="method_not_allowed",
            title="The ledger is only read",
            detail=f"{visible(scope['method'], 20)} is not taken here",
            remedy="use GET; what changes the ledger is a transaction on its chain",
            headers={"Allow": ", ".join(sorted(self._taken()))},
        )
        await refuse(failure, scope, receive, send)

    def _taken(self) -> set[str]:
        return (self.methods or set()) | {"HEAD"}

    def get_route_handler(self) -> _Handler:
        answer = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                response = await answer(request)
            except _EXPECTED as error:
                response = refusal(_explained(request, error))
            return await without_body(response) if request.method == "HEAD" else response

        return handler


def failure_page(request: Request, error: Exception) -> Response:
    """The failure as a page."""
    site: Site = request.app.state.explorer
    failure = _explained(request, error)
    if failure.status == 503:
        return unready(site, failure)
    # A mistyped link is a page that does not exist, whatever was mistyped.
    status_code = 404 if failure.status == 400 else failure.status
    try:
        return page(request, site, "failure.html", status_code, failure=failure)
    except MirrorError as unreadable:
        return unready(site, _explained(request, unreadable))


def _explained(request: Request, error: Exception) -> Failure:
    try:
        failure = failure_of(error, request.app.state.explorer)
    except MirrorError as unreadable:
        # Even the block up to which something is absent could not be read.
        return _explained(request, unreadable)
    if failure.status >= 500:
        _log.warning("explorer.unavailable", path=request.scope["path"], code=failure.code, error=str(error))
    return failure
