"""`gridlease indexer …`: follow the chain, look at the mirror, verify it, rebuild it, prove from it."""

import json
import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from indexer.bundles.cli import app as bundles_app
from indexer.bundles.cli import export

if TYPE_CHECKING:
    from indexer.verify import Report

app = typer.Typer(help="Follow the chain into the mirror; verify or rebuild it.", no_args_is_help=True)

_CHECK_FAILED: Final = 1

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command()
def run() -> None:
    """Follow the chain until SIGTERM.

    Settings: GRIDLEASE_DEPLOYMENT (file), GRIDLEASE_RPC_URL (one node, or several by commas: another is used when one
    fails, lies or stays behind), GRIDLEASE_RPC_WS_URL (where blocks are announced; default: the first node by
    WebSocket), GRIDLEASE_MIRROR_URL (SQLite or PostgreSQL), GRIDLEASE_METRICS_PORT (/metrics, /livez, /readyz).
    """
    from indexer.follower import Follower
    from indexer.pool import Pool
    from indexer.settings import IndexerSettings
    from indexer.source import Contracts, Source
    from indexer.store import open_writer
    from indexer.watch import Watch, WatchServer
    from protocol.rpc import Rpc

    settings = IndexerSettings()
    deployment = settings.load_deployment()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    engine = open_writer(settings.mirror_url)
    try:
        with ExitStack() as stack:
            nodes = [stack.enter_context(Rpc(url)) for url in settings.rpc_urls]
            sources = [Source(rpc, Contracts.of(deployment), settings.finality_blocks) for rpc in nodes]
            watch = Watch()
            if settings.metrics_port:
                server = WatchServer(watch, settings.metrics_host, settings.metrics_port)
                server.start()
                stack.callback(server.close)
            Follower(settings, deployment, Pool(sources), engine, watch).run(stop)
    finally:
        engine.dispose()


@app.command()
def status(as_json: AsJson = False) -> None:
    """Say how far the mirror is and what is proved. Exits 1 if it is halted."""
    from indexer.queries import Mirror
    from indexer.settings import IndexerSettings
    from protocol.hashing import to_hex

    mirror = Mirror(IndexerSettings().mirror_url)
    found = mirror.status()
    facts = asdict(found) | {
        "block_hash": to_hex(found.block_hash),
        "head": {"hash": f"0x{found.head.hash:052x}", "count": found.head.count},
        "light_blocks": mirror.light_blocks(),
    }
    mirror.close()
    _print(facts, as_json, lambda: _facts_table(facts))
    if found.halted is not None:
        raise typer.Exit(_CHECK_FAILED)


@app.command()
def verify(as_json: AsJson = False) -> None:
    """Check every row of the mirror against the chain; name the first event that differs. Exits 1 if one does."""
    from indexer.settings import IndexerSettings
    from indexer.verify import verify_mirror
    from protocol.rpc import Rpc

    settings = IndexerSettings()
    with Rpc(settings.rpc_urls[0]) as rpc:
        report = verify_mirror(settings.mirror_url, rpc, settings.load_deployment())
    _print(_report_facts(report), as_json, lambda: _report_table(report))
    if not as_json and report.first is not None:
        Console(stderr=True, soft_wrap=True).print(f"first difference: {report.first}", markup=False)
    if not report.holds:
        raise typer.Exit(_CHECK_FAILED)


@app.command()
def rebuild() -> None:
    """Make the mirror anew from the chain and swap it in; the old one serves reads until then."""
    from indexer.rebuild import rebuild_mirror
    from indexer.settings import IndexerSettings
    from protocol.rpc import Rpc

    settings = IndexerSettings()
    console = Console(stderr=True)
    with Rpc(settings.rpc_urls[0]) as rpc, console.status("rebuilding") as shown:
        cursor = rebuild_mirror(
            settings, settings.load_deployment(), rpc, lambda number: shown.update(f"rebuilding: block {number}")
        )
    typer.echo(f"mirror rebuilt up to block {cursor.number}: {cursor.event_count} events")


app.add_typer(bundles_app, name="prove")
app.command()(export)


def _print(facts: dict[str, Any], as_json: bool, table: Callable[[], Table]) -> None:
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
    else:
        Console().print(table())


def _facts_table(facts: dict[str, Any]) -> Table:
    table = Table(show_header=False, box=None)
    for name, value in facts.items():
        table.add_row(name.replace("_", " "), "-" if value is None else str(value))
    return table


def _report_facts(report: "Report") -> dict[str, Any]:
    from protocol.hashing import to_hex

    return {
        "holds": report.holds,
        "head_proved": report.head_proved,
        "block_number": report.block_number,
        "block_hash": to_hex(report.block_hash),
        "events": report.events,
        "checks": [asdict(check) for check in report.checks],
        "first_difference": None if report.first is None else asdict(report.first),
    }


def _report_table(report: "Report") -> Table:
    table = Table(
        title=f"mirror at block {report.block_number}: {report.events} events, Skipped ones included", box=None
    )
    for heading in ("check", "holds", "says"):
        table.add_column(heading, overflow="fold")
    for check in report.checks:
        table.add_row(check.name, "[green]yes[/]" if check.holds else "[red]NO[/]", check.says)
    return table
