"""`gridlease serve`: the market and the explorer in one process, on one origin."""

import gc

import uvicorn
from fastapi import FastAPI

from backend.app import create_app
from backend.market import Market
from backend.settings import MarketSettings
from explorer.app import mount
from gridlease.turns import Turns
from indexer.bundles.make import Bundles


def run_serve() -> None:
    """Serves until it is stopped."""
    settings = MarketSettings()
    market = Market(settings)
    market.db.migrate()
    application = create_app(market)
    bundles = Bundles(settings.mirror_url, settings.rpc_urls[0], complete_blooms=market.deployment.complete_blooms)
    mount(application, market.mirror, bundles=bundles, node_url=settings.rpc_urls[0])
    serve_app(application, settings.host, settings.port)


def serve_app(application: FastAPI, host: str, port: int) -> None:
    """Serves an app that is whole until it is stopped."""
    # What is imported stays. A search for cycles in all of that would hold up every answer for a fifth of a second.
    gc.collect()
    gc.freeze()
    uvicorn.run(
        Turns(application),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        # A stream of events does not end by itself.
        timeout_graceful_shutdown=3,
    )
