"""The `gridlease` command: lists what the rooms registered, and loads a room only when its command is invoked.

One place turns expected errors into one line with a remedy and an exit code; a traceback is always a bug of ours.
"""

import json
import os
import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from typing import Any, Final, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from protocol.errors import ChainError, GridleaseError

GROUP: Final = "gridlease.commands"
OK, CHECK_FAILED, USAGE, NOT_FUNDED, NOT_MATCHED, CHAIN, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

_BUY, _SELL, _MARKET, _OTHER = "Buy compute", "Sell compute", "Run a market", "Other commands"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """How a command appears in `gridlease --help`, without loading it."""

    help: str
    panel: str
    #: extra of the distribution that the command needs
    extra: str | None = None


COMMANDS: Final[dict[str, Listed]] = {
    "login": Listed(help="Remember a market and an API key, or make one with your wallet.", panel=_BUY),
    "account": Listed(help="Balance, deposit, withdraw, and the cap of your API key.", panel=_BUY),
    "keys": Listed(help="Make, cap, rotate and revoke the API keys of your programs.", panel=_BUY),
    "files": Listed(help="Upload and download files by content (CID).", panel=_BUY),
    "run": Listed(help="Buy a job: upload, pay per segment, check, download.", panel=_BUY),
    "job": Listed(help="Follow, list and cancel jobs, read their logs.", panel=_BUY),
    "orders": Listed(help="Buy with orders that your own wallet signs.", panel=_BUY),
    "webhooks": Listed(help="Have the market call you about your jobs.", panel=_BUY),
    "verify": Listed(help="Check a proof of a payment, a lease or the history, offline.", panel=_BUY),
    "audit": Listed(help="Check that an auction was held by the rule.", panel=_BUY, extra="server"),
    "provider": Listed(help="Offer this machine and be paid for verified work.", panel=_SELL, extra="provider"),
    "demo": Listed(help="Start everything, run one real job, prove it, stop.", panel=_MARKET, extra="server"),
    "dev": Listed(help="Keep a whole local market running.", panel=_MARKET, extra="server"),
    "deploy": Listed(help="Put a ledger on a chain, or verify what is there.", panel=_MARKET, extra="server"),
    "serve": Listed(help="Serve the API and the explorer.", panel=_MARKET, extra="server"),
    "worker": Listed(help="Match, submit and settle in the background.", panel=_MARKET, extra="server"),
    "market": Listed(help="Settings, backups and retention of a market.", panel=_MARKET, extra="server"),
    "indexer": Listed(help="Follow the chain into the mirror; verify or rebuild it.", panel=_MARKET, extra="server"),
}

_ROOMS: Final = ("protocol", "indexer", "explorer", "backend", "provider", "client", "gridlease")
_USAGE_CODES: Final = frozenset(
    {
        "bad_manifest",
        "term_out_of_range",
        "bad_hex",
        "bad_cid",
        "keystore",
        "bad_login",
        "not_logged_in",
        "token_needed",
    }
)


class Front(TyperGroup):
    """The top level: stubs for listing, real commands for invoking."""

    def list_commands(self, ctx: Any) -> list[str]:
        registered = _registered()
        return [*(name for name in COMMANDS if name in registered), *sorted(registered.keys() - COMMANDS.keys())]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in _registered():
            return None
        listed = COMMANDS.get(cmd_name, Listed(help="Added by another distribution.", panel=_OTHER))
        return TyperCommand(cmd_name, help=listed.help, rich_help_panel=listed.panel)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, _stub, rest = super().resolve_command(ctx, args)
        if name is None:
            return name, None, rest
        ctx.meta["gridlease.command"] = name
        return name, _load(name), rest

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        # What follows `--` belongs to the job, not to us.
        ours = args[: args.index("--")] if "--" in args else args
        ctx.meta["gridlease.json"] = "--json" in ours
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except GridleaseError as error:
            _fail(error, as_json=ctx.meta["gridlease.json"])
        except KeyboardInterrupt as interrupt:
            _say(str(interrupt) or "Interrupted. The same command starts again where that is safe.")
            raise typer.Exit(INTERRUPTED) from None
        except ModuleNotFoundError as error:
            # Rooms import late, so a missing extra may show only now.
            _refuse_missing(ctx.meta["gridlease.command"], error)
        except ValueError as error:
            facts = _bad_settings(error)
            if facts is None:
                raise
            _say(f"error: {facts}")
            raise typer.Exit(USAGE) from None
        except OSError as error:
            if isinstance(error, BrokenPipeError) or error.filename is None:
                raise
            _say(f"error: {error.filename}: {error.strerror}")
            raise typer.Exit(CHECK_FAILED) from None


def _version(shown: bool) -> None:
    if shown:
        try:
            typer.echo(f"gridlease {version('gridlease')}")
        except PackageNotFoundError:
            typer.echo("gridlease (not installed)")
        raise typer.Exit(OK)


app = typer.Typer(
    name="gridlease",
    cls=Front,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(
    epilog="Exit codes: 0 ok, 1 failed check, 2 usage, 3 not funded, 4 not matched, 5 chain error.\n\n"
    "Environment: GRIDLEASE_URL and GRIDLEASE_KEY override the stored login; NO_COLOR turns colours off."
)
def front(
    show_version: bool = typer.Option(
        False, "--version", help="Print the version and exit.", is_eager=True, callback=_version
    ),
) -> None:
    """Buy and sell verified compute, settled on a chain. Try: gridlease demo"""


def main() -> None:
    """The script's entry."""
    # A word that is wrapped away by a narrow pipe cannot be searched for or copied.
    if not sys.stdout.isatty():
        os.environ.setdefault("COLUMNS", "120")
    app()


def exit_code(error: GridleaseError) -> int:
    """The code by which scripts tell what to do next."""
    from client.errors import NotFunded, NotMatched

    if isinstance(error, NotFunded) or error.code == "not_funded":
        return NOT_FUNDED
    if isinstance(error, NotMatched) or error.code == "not_matched":
        return NOT_MATCHED
    if isinstance(error, ChainError):
        return CHAIN
    return USAGE if error.code in _USAGE_CODES else CHECK_FAILED


@cache
def _registered() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}


def _load(name: str) -> Any:
    """The real command behind a registered name; a missing extra is named, not traced."""
    try:
        found = _registered()[name].load()
    except ModuleNotFoundError as error:
        _refuse_missing(name, error)
    command: Any = typer.main.get_command(found if isinstance(found, typer.Typer) else _app_of(name, found))
    command.name = name
    # Completion is installed once, by the top level.
    command.params = [item for item in command.params if item.name not in ("install_completion", "show_completion")]
    return command


def _refuse_missing(name: str, error: ModuleNotFoundError) -> NoReturn:
    """A library that is not installed is the reader's to mend; a module of ours that is not there is our bug."""
    if error.name is None or error.name.partition(".")[0] in _ROOMS:
        raise error
    listed = COMMANDS.get(name)
    remedy = f"pip install 'gridlease[{listed.extra}]'" if listed and listed.extra else "reinstall gridlease"
    _say(f"error: `gridlease {name}` needs {error.name}, which is not installed; {remedy}")
    raise typer.Exit(USAGE) from None


def _bad_settings(error: ValueError) -> str | None:
    """Which environment variable is wrong, if that is what the error says."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError) or not error.title.endswith("Settings"):
        return None
    first = error.errors(include_input=False, include_url=False)[0]
    field = "_".join(str(part) for part in first["loc"]).upper()
    return f"GRIDLEASE_{field}: {first['msg']}" if field else f"settings GRIDLEASE_…: {first['msg']}"


def _app_of(name: str, function: Any) -> typer.Typer:
    single = typer.Typer(name=name, add_completion=False)
    single.command(name)(function)
    return single


def _fail(error: GridleaseError, *, as_json: bool) -> NoReturn:
    code = exit_code(error)
    if as_json:
        body = {"code": error.code, "message": str(error), "exit_code": code}
        remedy = getattr(error, "remedy", None)
        extras = getattr(error, "extras", None)
        typer.echo(json.dumps({"error": body | ({"remedy": remedy} if remedy else {}) | (extras or {})}))
    else:
        _say(f"error: {error}")
    raise typer.Exit(code) from None


def _say(line: str) -> None:
    """One line on stderr. Parts of it may come from a market: no control characters reach the terminal."""
    typer.echo("".join(character if character.isprintable() else " " for character in line), err=True)


if __name__ == "__main__":
    main()
