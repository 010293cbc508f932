"""The explorer on an app: pages, `/v1/ledger`, `/api`, static files. Everything it needs is handed to `mount`."""

from collections.abc import Callable
from typing import Final

from fastapi import FastAPI, Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from explorer import api, etherscan, pages
from explorer.api.answers import Desk
from explorer.door import AsciiQueries
from explorer.etherscan.endpoint import Front
from explorer.etherscan.node import Node
from explorer.failures import Failure
from explorer.identifiers import NoSuchPage
from explorer.proofs import Proofs
from explorer.rendering import environment
from explorer.responses import SAFETY_HEADERS, refuse
from explorer.routes import failure_page
from explorer.settings import ExplorerSettings
from explorer.site import STATIC_DIR, Site, version_of
from indexer.bundles.make import Bundles
from indexer.queries import Mirror
from protocol.clock import now_time

_PROGRAM_PATHS: Final = ("/v1/", "/api", "/v2/api")
_NO_SUCH_LIST: Final = Failure(
    status=404,
    code="no_such_path",
    title="No such path",
    detail="/v1/ledger has nothing there",
    remedy="see /openapi.json for the paths",
)


class _Static(StaticFiles):
    """Our own files; the version in their URL changes with them, so that a browser may keep them."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers.update(SAFETY_HEADERS)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def mount(
    app: FastAPI,
    mirror: Mirror,
    *,
    now: Callable[[], int] = now_time,
    bundles: Bundles | None = None,
    node_url: str | None = None,
    settings: ExplorerSettings | None = None,
) -> None:
    """Adds the explorer's routes to `app`, in any order with the backend's.

    `now` (unix seconds) is asked only for relative times; without `bundles` there are only proofs of events; without
    `node_url` what `/api` answers is only what the mirror holds; without `settings` they are those of the environment.
    """
    settings = settings or ExplorerSettings()
    app.state.ledger_desk = Desk(mirror, settings)
    app.state.etherscan = Front(Node(node_url), settings.etherscan_calls)
    app.state.explorer = Site(
        mirror=mirror,
        proofs=Proofs(mirror, bundles),
        templates=environment(),
        static_version=version_of(STATIC_DIR),
        now=now,
    )
    # Not as included routers, and before all others: to look through those costs more than many an answer.
    app.router.routes[:0] = api.routes()
    app.include_router(etherscan.router)
    for router in pages.routers():
        app.include_router(router, include_in_schema=False)
    app.add_middleware(AsciiQueries)
    app.mount("/static", _Static(directory=STATIC_DIR), name="static")
    _answer_unknown_paths_with_a_page(app)


def _answer_unknown_paths_with_a_page(app: FastAPI) -> None:
    """People who mistype get a page with the search box; programs keep what the app answered before."""
    before = app.router.default

    async def unknown(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/v1/ledger"):
            await refuse(_NO_SUCH_LIST, scope, receive, send)
            return
        if scope["type"] != "http" or scope["path"].startswith(_PROGRAM_PATHS):
            await before(scope, receive, send)
            return
        response = failure_page(Request(scope, receive), NoSuchPage(scope["path"]))
        await response(scope, receive, send)

    app.router.default = unknown
