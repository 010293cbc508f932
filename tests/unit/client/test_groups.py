"""Options that several commands share come out as options, and reach the command as one value."""

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from client.cli.groups import takes

app = typer.Typer()


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    wide: Annotated[int, typer.Option("--wide", min=1, help="Width.")]
    high: Annotated[int, typer.Option("--high", help="Height.")] = 2


@app.command()
@takes(size=Size)
def draw(name: str, *, size: Size, bold: bool = False) -> None:
    """Draws."""
    typer.echo(f"{name} {size.wide} {size.high} {bold}")


def _draw(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, arguments)
    return done.exit_code, done.stdout.strip()


def test_each_field_is_an_option_with_its_default_and_its_bounds() -> None:
    assert _draw("house", "--wide", "7", "--bold") == (0, "house 7 2 True")
    assert _draw("house", "--wide", "7", "--high", "9") == (0, "house 7 9 False")
    assert _draw("house", "--wide", "0")[0] == 2
    assert _draw("house")[0] == 2


def test_they_stand_in_the_help_where_the_group_stands_in_the_command() -> None:
    _, words = _draw("--help")
    places = [words.index(word) for word in ("--wide", "--high", "--bold")]
    assert places == sorted(places)
    assert "Draws." in words
