"""How the buyer's commands speak: data on stdout, talk on stderr, and nothing that a stranger's text could steer."""

import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NoReturn

import orjson
import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from client.sdk import Client
from client.settings import uploads_path
from protocol.units import BASE_PER_DOLLAR, format_dollars

JSON_HELP = "Print one JSON document on stdout, also for errors."


def plain(text: str) -> str:
    """Untrusted text without control characters: a job's log must not move the cursor or retitle the window."""
    return "".join(character if character.isprintable() or character in "\n\t" else "�" for character in text)


def print_json(data: BaseModel | dict[str, Any] | list[Any]) -> None:
    """One document on stdout."""
    content = data.model_dump(mode="json") if isinstance(data, BaseModel) else data
    typer.echo(orjson.dumps(content, option=orjson.OPT_INDENT_2).decode())


def say(line: str) -> None:
    """One line for people, on stderr."""
    typer.echo(plain(line), err=True)


def facts(pairs: Iterable[tuple[str, str]]) -> None:
    """Names and values, aligned, on stdout."""
    rows = list(pairs)
    width = max(len(name) for name, _value in rows)
    for name, value in rows:
        typer.echo(f"{name:<{width}}  {plain(value)}")


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """A table on stdout, without frames, so that it can be cut and grepped."""
    grid = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        grid.add_row(*(plain(cell).replace("[", r"\[") for cell in row))
    Console(width=None if sys.stdout.isatty() else 200).print(grid)


def refuse_usage(fact: str) -> NoReturn:
    """A wrong command line: one line, exit code 2."""
    raise typer.BadParameter(fact)


def confirm(sentence: str, *, yes: bool) -> None:
    """Asks before money moves, unless `--yes`; without a terminal nothing is asked and nothing is done."""
    say(sentence)
    if yes:
        return
    if not sys.stdin.isatty():
        refuse_usage("this moves money and there is no terminal to ask; add --yes")
    if not typer.confirm("Go on?", err=True):
        say("Nothing was done.")
        raise typer.Exit(1)


def money_words(base: int) -> str:
    """`5.25 dollars`: as people say it, with all digits that are not zero."""
    whole, rest = divmod(base, BASE_PER_DOLLAR)
    digits = f"{whole:,}" + (f".{rest:06d}".rstrip("0") if rest else "")
    return f"{digits} {'dollar' if base == BASE_PER_DOLLAR else 'dollars'} ({format_dollars(base)})"


def moment(time: int) -> str:
    """Unix seconds as UTC, to the second."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def market(timeout_seconds: float = 30.0) -> Client:
    """The market of the environment or of the stored login."""
    return Client(timeout_seconds=timeout_seconds, unfinished=uploads_path())
