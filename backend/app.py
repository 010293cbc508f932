"""The HTTP application of the market: rooms' endpoints, problems, operations, and API pages without a CDN."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from sqlalchemy.exc import SQLAlchemyError

from backend import openapi, plain_calls, problems
from backend.accounts.endpoints import router as accounts
from backend.bodies import BoundedBodies, SteadyBodies
from backend.docs import router as docs
from backend.events.pulse import Pulse
from backend.events.stream import Streams
from backend.files.endpoints import router as files
from backend.files.uploads import router as uploads
from backend.jobs.endpoints import PLAIN as PLAIN_OF_BUYERS
from backend.jobs.endpoints import router as jobs
from backend.leases.endpoints import PLAIN as PLAIN_OF_PROVIDERS
from backend.leases.endpoints import router as leases
from backend.limits import LimitedAddresses
from backend.market import Market
from backend.matching.endpoints import router as auctions
from backend.offers.endpoints import router as offers
from backend.operations import endpoints as operations
from backend.operations.requests import Requests
from backend.operations.sweeper import Sweeper
from backend.orders.endpoints import router as orders
from backend.webhooks.endpoints import router as webhooks
from protocol.errors import GridleaseError


async def _nobody_waits() -> None:
    """Where there is no queue."""


def create_app(market: Market, sweeper: Sweeper | None = None) -> FastAPI:
    """The market's app; `gridlease serve` mounts the explorer beside it. The sweeper runs as long as the app does."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        if sweeper is not None:
            sweeper.start()
        await asyncio.to_thread(_warm, market)
        saying = asyncio.create_task(market.listening.keep_saying(app.state.stand_in_line))
        yield
        saying.cancel()
        if sweeper is not None:
            await asyncio.to_thread(sweeper.stop)
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
    app.state.pulse = Pulse(market.db)
    #: until a call that came now would begin; whoever serves the app has the queue
    app.state.stand_in_line = _nobody_waits
    app.state.streams = Streams(market.settings.streams_per_account)
    problems.install(app)

    app.add_middleware(BoundedBodies, max_body_bytes=market.settings.max_body_bytes)
    app.add_middleware(
        SteadyBodies,
        bytes_per_second=market.settings.body_bytes_per_second,
        grace_seconds=market.settings.body_grace_seconds,
    )
    app.add_middleware(LimitedAddresses, limits=market.limits)
    app.add_middleware(Requests)
    operations.install(app, market)

    routers = (accounts, uploads, files, offers, jobs, orders, auctions, leases, webhooks, docs)
    # Routes are tried one after the other, and these two are called most.
    for router in sorted(routers, key=lambda router: router not in (jobs, leases)):
        app.include_router(router)
    openapi.install(app, (*routers, operations.router))
    hurry(app)
    return app


def hurry(app: FastAPI) -> None:
    """The calls that come most often are looked for before whatever else the app has by now."""
    plain_calls.install(app, (*PLAIN_OF_BUYERS, *PLAIN_OF_PROVIDERS))


def _warm(market: Market) -> None:
    """Reads the book, which the first buyer would wait for. Whatever is away now is asked again by whoever needs it."""
    with suppress(GridleaseError, SQLAlchemyError), market.db.read() as session:
        market.live_book.lately(session)
