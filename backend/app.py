"""The HTTP application of the market: rooms' endpoints, problems, health, and API pages without a CDN."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from backend import problems
from backend.accounts.endpoints import router as accounts
from backend.bodies import BoundedBodies
from backend.docs import router as docs
from backend.files.endpoints import router as files
from backend.jobs.endpoints import router as jobs
from backend.leases.endpoints import router as leases
from backend.market import Market
from backend.matching.endpoints import router as auctions
from backend.offers.endpoints import router as offers


def create_app(market: Market) -> FastAPI:
    """The market's app; `gridlease serve` mounts the explorer beside it."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        market.db.close()

    app = FastAPI(
        title="Gridlease",
        version="0.1.0",
        summary="Buy verified compute with one call; settle it on chain.",
        # The default pages load scripts from a CDN; ours are in backend/docs.py.
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.market = market
    problems.install(app)

    app.add_middleware(BoundedBodies, max_body_bytes=market.settings.max_body_bytes)

    @app.get("/livez", tags=["health"], operation_id="livez")
    async def livez() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["health"], operation_id="readyz")
    async def readyz() -> dict[str, object]:
        """Database and mirror answer; raises 503 as a problem otherwise."""
        with market.db.read() as session:
            session.connection().exec_driver_sql("SELECT 1")
        status = market.mirror.status()
        return {"status": "ok", "block_number": status.block_number, "proved_number": status.proved_number}

    for router in (accounts, files, offers, jobs, auctions, leases, docs):
        app.include_router(router)
    return app
