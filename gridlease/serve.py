"""`gridlease serve`: the market and the explorer in one process, on one origin."""

import uvicorn

from backend.app import create_app
from backend.market import Market
from backend.settings import MarketSettings
from explorer.app import mount
from indexer.bundles.make import Bundles


def run_serve() -> None:
    """Serves until it is stopped."""
    settings = MarketSettings()
    market = Market(settings)
    market.db.migrate()
    application = create_app(market)
    bundles = Bundles(settings.mirror_url, settings.rpc_url)
    mount(application, market.mirror, bundles=bundles, node_url=settings.rpc_url)
    uvicorn.run(
        application,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        # A stream of events does not end by itself.
        timeout_graceful_shutdown=3,
    )
