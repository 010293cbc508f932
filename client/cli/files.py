"""`gridlease files`: up and down by content; a file's name is the hash of its bytes."""

from pathlib import Path
from typing import Annotated

import typer

from client.cli.console import JSON_HELP, facts, market, print_json, say
from client.cli.progress import sending
from client.errors import NotFound

app = typer.Typer(name="files", add_completion=False, no_args_is_help=True, help="Files by content (CID).")

AsJson = Annotated[bool, typer.Option("--json", help=JSON_HELP)]


@app.command(epilog="Example: gridlease files put train.wasm digits.csv")
def put(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH…", help="Files, 64 MiB each.", exists=True, dir_okay=False)
    ],
    as_json: AsJson = False,
) -> None:
    """Upload files unless the market has them already; print their CIDs.

    Files over 8 MiB go in pieces: after a broken connection, or Ctrl-C and the same command again, they go on.
    """
    stored: dict[str, str] = {}
    with market(timeout_seconds=120.0) as client:
        for path in paths:
            with sending(path.name, quiet=as_json) as on_progress:
                stored[str(path)] = client.files.put(path, on_progress)
            if not as_json:
                typer.echo(f"{stored[str(path)]}  {path}")
    if as_json:
        print_json([{"path": path, "cid": cid} for path, cid in stored.items()])


@app.command(epilog="Example: gridlease files get bafkrei… -o weights.bin")
def get(
    cid: Annotated[str, typer.Argument(help="Name of the file (bafkrei…).")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where to. Default: a file named CID.")] = None,
    as_json: AsJson = False,
) -> None:
    """Download a file; it appears only if its SHA-256 is the one that the CID names."""
    with market(timeout_seconds=120.0) as client:
        path = client.files.get(cid, output or Path(cid))
    if as_json:
        print_json({"cid": cid, "path": str(path), "size": path.stat().st_size})
    else:
        say(f"{path}: {path.stat().st_size:,} bytes, hash checked.")


@app.command(epilog="Example: gridlease files stat bafkrei…")
def stat(cid: Annotated[str, typer.Argument(help="Name of the file.")], as_json: AsJson = False) -> None:
    """Whether the market holds a file, and its size in bytes."""
    with market() as client:
        info = client.files.stat(cid)
    if info is None:
        raise NotFound("not_found", 404, f"the market does not hold {cid}", "upload it: gridlease files put PATH")
    if as_json:
        print_json(info)
    else:
        facts([("cid", info.cid), ("sha256", info.sha256), ("size", f"{info.size:,} bytes")])
