"""`gridlease market …`: what the operator of a market does besides letting it run."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings
    from rich.table import Table

    from backend.market import Market

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, also for errors.")]

_OTHERS: Final = (
    "GRIDLEASE_URL",
    "GRIDLEASE_KEY",
    "GRIDLEASE_CONFIG_DIR",
    "GRIDLEASE_KEYSTORE",
    "GRIDLEASE_PASSWORD_FILE",
    "GRIDLEASE_PRIVATE_KEY_FILE",
    "GRIDLEASE_PROVIDER_",
)
"""Variables that buyers, providers and tests have on the same machine."""

market = typer.Typer(name="market", add_completion=False, no_args_is_help=True)
config = typer.Typer(no_args_is_help=True)
market.add_typer(config, name="config", help="The settings as they are in force.")


@market.callback()
def _market() -> None:
    """Operate a market: settings, backups, retention, what a request led to."""


@config.command(name="show", epilog="Example: gridlease market config show --json")
def show_config(as_json: AsJson = False) -> None:
    """Every setting with its value and where it comes from: default, environment, or a file. Secrets are masked.

    Exits 1 if a GRIDLEASE_ variable is none of them: a mistyped name is a setting that is not in force.
    """
    from backend.operations.config import in_force, strangers

    rooms = _rooms()
    found, unknown = in_force(rooms), strangers(rooms, _OTHERS)
    rows = [(item.name, "-" if item.value is None else item.value, item.origin) for item in found]
    facts = {"settings": [asdict(item) for item in found], "unknown": unknown}
    _print(facts, as_json, lambda: _table(("setting", "value", "origin"), rows))
    if unknown:
        typer.echo(f"error: no setting is called {', '.join(unknown)}", err=True)
        raise typer.Exit(1)


@market.command()
def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to; it must not exist, or be empty.")],
    files: Annotated[bool, typer.Option(help="Buyers' files and results too.")] = True,
    secrets: Annotated[bool, typer.Option(help="The seed of hosted keys and the submission key too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Copy the market's database and files while it runs. The mirror is not copied: the chain has it.

    Without --secrets a restored market cannot sign for its buyers; keep a copy of both key files somewhere safer.
    """
    from backend.operations.backup import back_up
    from backend.settings import MarketSettings

    _tell(back_up(MarketSettings(), folder, files=files, secrets=secrets), as_json)


@market.command()
def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What `gridlease market backup` made.", exists=True)],
    as_json: AsJson = False,
) -> None:
    """Put a backup where the settings say. Refuses a database that has tables, and files that are there.

    Afterwards: gridlease indexer rebuild, then serve and worker.
    """
    from backend.operations.backup import restore as put_back
    from backend.settings import MarketSettings

    _tell(put_back(MarketSettings(), folder), as_json)


@market.command()
def prune(as_json: AsJson = False) -> None:
    """Remove what retention does not keep, now; the worker does so each hour. Says how much went."""
    from backend.operations.prune import run

    with _open_market() as opened:
        facts = asdict(run(opened))
    _tell(facts, as_json)


@market.command()
def trace(
    request_id: Annotated[str, typer.Argument(help="The X-Request-Id of an answer, as logs name it too.")],
    as_json: AsJson = False,
) -> None:
    """Say what a request led to: job, leases, intents, transactions."""
    from backend.operations.trail import follow

    with _open_market() as opened, opened.db.read() as session:
        found = [asdict(step) for step in follow(session, request_id)]
    columns = ("job_id", "lease", "intent", "intent_state", "tx_hash", "tx_state")
    rows = [tuple(str(step[name] or "-") for name in columns) for step in found]
    _print({"request_id": request_id, "steps": found}, as_json, lambda: _table(columns, rows))
    if not found:
        raise typer.Exit(1)


def _rooms() -> "tuple[type[BaseSettings], ...]":
    from backend.operations.settings import OperationsSettings
    from backend.settings import MarketSettings
    from explorer.settings import ExplorerSettings
    from indexer.settings import IndexerSettings
    from protocol.logs import LogSettings

    return (MarketSettings, OperationsSettings, IndexerSettings, ExplorerSettings, LogSettings)


@contextmanager
def _open_market() -> "Iterator[Market]":
    from backend.market import Market
    from backend.settings import MarketSettings

    found = Market(MarketSettings())
    try:
        yield found
    finally:
        found.db.close()


def _tell(facts: dict[str, Any], as_json: bool) -> None:
    rows = [(name.replace("_", " "), str(value)) for name, value in facts.items()]
    _print(facts, as_json, lambda: _table(None, rows))


def _print(facts: dict[str, Any], as_json: bool, table: "Callable[[], Table]") -> None:
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    from rich.console import Console

    Console(soft_wrap=True).print(table())


def _table(headings: tuple[str, ...] | None, rows: Sequence[tuple[str, ...]]) -> "Table":
    from rich.table import Table

    table = Table(box=None, show_header=headings is not None)
    for heading in headings or ("", ""):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
