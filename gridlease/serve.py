"""`gridlease serve`: the market and the explorer in one process, on one origin."""

import typer

app = typer.Typer(help="Serve the market's API and the explorer's pages.", invoke_without_command=True)


@app.callback()
def run_serve() -> None:
    """Serves on GRIDLEASE_HOST:GRIDLEASE_PORT (127.0.0.1:8700) until it is stopped."""
    import uvicorn

    from backend.app import create_app
    from backend.market import Market
    from backend.settings import MarketSettings
    from explorer.app import mount

    settings = MarketSettings()
    market = Market(settings)
    market.db.migrate()
    application = create_app(market)
    mount(application, market.mirror)
    uvicorn.run(application, host=settings.host, port=settings.port, log_level="warning", access_log=False)
