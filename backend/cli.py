"""`gridlease worker`: the process that matches, submits and settles."""

from typing import Annotated

import typer


def worker(
    beat: Annotated[bool, typer.Option(help="Run beat inside; exactly one worker needs it.")] = True,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Run the market's worker until stopped: matching, submission, settlement.

    It is woken through GRIDLEASE_BROKER_URL, a folder by default, redis:// or amqp:// at scale.
    """
    from backend.market import Market
    from backend.settings import MarketSettings
    from backend.worker import celery_app

    settings = MarketSettings()
    Market(settings).db.migrate()
    arguments = ["worker", "--pool", "solo", "--loglevel", log_level, "--without-gossip", "--without-mingle"]
    if beat:
        schedule = settings.seed_file.parent / "beat-schedule"
        arguments += ["--beat", "--schedule", str(schedule)]
    celery_app.worker_main(arguments)
