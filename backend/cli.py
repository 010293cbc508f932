"""`gridlease worker`: the process that matches, submits and settles."""

from pathlib import Path
from typing import Annotated

import typer


def worker(
    beat: Annotated[
        bool, typer.Option(help="Ring the clock too; any number of workers may, at least one should.")
    ] = True,
    pulse: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Touched each second while all is well, for whoever watches from outside."),
    ] = None,
    node: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of this worker among several on one machine. Default: its host.")
    ] = None,
) -> None:
    """Run the market's worker until stopped: matching, submission, settlement.

    It is woken through GRIDLEASE_BROKER_URL, a folder by default, redis:// or amqp:// at scale. A worker that stalls
    ends itself within half a minute: have it started again.
    """
    from backend.market import Market
    from backend.settings import MarketSettings
    from backend.worker import run_worker

    settings = MarketSettings()
    market = Market(settings)
    market.db.migrate()
    market.db.close()
    run_worker(settings, beat=beat, pulse_file=pulse, node=node)
