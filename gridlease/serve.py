"""`gridlease serve`: the market and the explorer in one process, on one origin."""

import sys
import threading
from typing import Final

import uvicorn
from fastapi import FastAPI

from backend import wake
from backend.app import create_app, hurry
from backend.market import Market
from backend.operations.collector import collect_seldom
from backend.operations.settings import OperationsSettings
from backend.operations.sweeper import Sweeper
from backend.settings import MarketSettings
from explorer.app import mount
from gridlease.punctual import punctual
from gridlease.stopping import PoliteServer
from gridlease.turns import Turns, buys
from indexer.bundles.make import Bundles
from protocol.logs import configure_logs

_SWITCH_SECONDS: Final = 0.0005
"""A thread that has committed goes on after so long: requests wait for it. By default it waits ten times as long."""


def run_serve() -> None:
    """Serves until it is stopped."""
    configure_logs()
    settings = MarketSettings()
    market = Market(settings)
    market.db.migrate()
    wake.prepare()
    application = create_app(market, Sweeper(lambda: Market(settings)))
    bundles = Bundles(settings.mirror_url, settings.rpc_urls[0], complete_blooms=market.deployment.complete_blooms)
    mount(application, market.mirror, bundles=bundles, node_url=settings.rpc_urls[0])
    hurry(application)
    serve_app(
        application,
        settings.host,
        settings.port,
        market.draining,
        market.operations,
        settings,
    )


def serve_app(
    application: FastAPI,
    host: str,
    port: int,
    draining: threading.Event | None = None,
    operations: OperationsSettings | None = None,
    deadlines: MarketSettings | None = None,
) -> None:
    """Serves an app that is whole until it is stopped."""
    # A search for cycles in all that is imported would hold up every answer for a fifth of a second.
    collect_seldom()
    sys.setswitchinterval(_SWITCH_SECONDS)
    operations, deadlines = operations or OperationsSettings(), deadlines or MarketSettings()
    turns = Turns(application, buys)
    application.state.stand_in_line = turns.stand_in_line
    config = uvicorn.Config(
        turns,
        host=host,
        port=port,
        # Its lines take the way of all others.
        log_config=None,
        # It would warn of each malformed request, and strangers could fill the disk.
        log_level="error",
        access_log=False,
        http=punctual(deadlines.head_seconds, deadlines.stall_seconds, deadlines.body_bytes_per_second),
        # A stream of events does not end by itself.
        timeout_graceful_shutdown=operations.shutdown_seconds,
    )
    PoliteServer(config, draining or threading.Event(), operations.drain_seconds).run()
