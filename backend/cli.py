"""`gridlease worker`: the process that matches, submits and settles."""

import typer

worker = typer.Typer(help="Run the market's worker: matching, submission, settlement.", invoke_without_command=True)


@worker.callback()
def run_worker(
    beat: bool = typer.Option(True, help="Run beat inside; exactly one worker needs it."),
    log_level: str = typer.Option("info", help="debug, info, warning or error."),
) -> None:
    """Runs a Celery worker on GRIDLEASE_BROKER_URL until it is stopped."""
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
