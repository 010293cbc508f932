"""`gridlease indexer prove …` and `gridlease indexer export`: files for people who trust nobody."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

if TYPE_CHECKING:
    from indexer.bundles.export import Exported
    from indexer.bundles.make import Bundles

app = typer.Typer(
    help="Write a proof file; `gridlease verify FILE` checks it offline.", no_args_is_help=True, add_completion=False
)

Out = Annotated[Path, typer.Option("--out", "-o", help="The file to write.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
FromBlock = Annotated[int | None, typer.Option("--from-block", min=0, help="First block; else the ledger's first.")]
ToBlock = Annotated[int | None, typer.Option("--to-block", min=0, help="Last block; else the mirror's newest.")]
_PROOF = Path("proof.json")


@app.command()
def event(
    transaction: Annotated[str, typer.Argument(help="Hash of the transaction.")],
    log_index: Annotated[int, typer.Argument(help="Position of the log in its block.", min=0)],
    out: Out = _PROOF,
    as_json: AsJson = False,
) -> None:
    """One event is in a block. Asks no node."""
    from protocol.hashing import from_hex

    tx_hash = from_hex(transaction, 32)
    _write(out, lambda bundles: bundles.event(tx_hash, log_index), as_json)


@app.command()
def lease(
    lease: Annotated[str, typer.Argument(help="Id of the lease.")],
    block: Annotated[int | None, typer.Option("--block", min=0, help="At this block; else the newest.")] = None,
    out: Out = _PROOF,
    as_json: AsJson = False,
) -> None:
    """What the ledger's storage says of a lease at a block, or that there is no such lease."""
    from protocol.hashing import from_hex

    wanted = from_hex(lease, 32)
    _write(out, lambda bundles: bundles.lease(wanted, block), as_json)


@app.command()
def absence(
    first: Annotated[int, typer.Argument(help="First block.", min=0)],
    last: Annotated[int | None, typer.Argument(help="Last block; else only the first.", min=0)] = None,
    out: Out = _PROOF,
    as_json: AsJson = False,
) -> None:
    """Blocks hold no log of the ledger. Asks no node."""
    until = first if last is None else last
    if until < first:
        raise typer.BadParameter(f"the last block, {until}, is before the first, {first}")
    _write(out, lambda bundles: bundles.absence(first, until), as_json)


@app.command()
def history(
    from_block: FromBlock = None,
    to_block: ToBlock = None,
    out: Out = _PROOF,
    as_json: AsJson = False,
) -> None:
    """The head that commits to all events, or to those of a range; compare a list by `gridlease verify --events`."""
    _require_order(from_block, to_block)
    _write(out, lambda bundles: bundles.history(from_block, to_block), as_json)


def export(
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write; - is standard output.")] = Path("-"),
    from_block: FromBlock = None,
    to_block: ToBlock = None,
    as_json: AsJson = False,
) -> None:
    """Write the ledger's raw events as NDJSON; the last line counts them."""
    _require_order(from_block, to_block)
    if str(out) == "-":
        _export(sys.stdout.buffer, from_block, to_block)
        return
    with out.open("wb") as file:
        done = _export(file, from_block, to_block)
    last = done.last_block
    if as_json:
        facts = {"file": str(out), "count": done.count, "first_block": done.first_block, "last_block": last.facts()}
        typer.echo(json.dumps(facts, indent=2))
    else:
        typer.echo(
            f"{out}: {done.count} events up to block {last.number}; `gridlease indexer prove history "
            f"--to-block {last.number}` proves them"
        )


def _export(file: BinaryIO, first: int | None, last: int | None) -> "Exported":
    from indexer.bundles.export import export_events
    from indexer.settings import IndexerSettings
    from indexer.store import open_reader

    engine = open_reader(IndexerSettings().mirror_url)
    try:
        with engine.connect() as connection:
            return export_events(connection, file.write, first, last)
    finally:
        engine.dispose()


def _require_order(first: int | None, last: int | None) -> None:
    if first is not None and last is not None and last < first:
        raise typer.BadParameter(f"--to-block {last} is before --from-block {first}")


def _write(out: Path, make: Callable[["Bundles"], bytes], as_json: bool) -> None:
    from indexer.bundles.make import Bundles
    from indexer.settings import IndexerSettings
    from protocol.bundle import peek

    settings = IndexerSettings()
    complete_blooms = settings.load_deployment().complete_blooms
    content = make(Bundles(settings.mirror_url, settings.rpc_urls[0], complete_blooms=complete_blooms))
    verified = peek(content)
    anchors = [{"number": number, "hash": "0x" + block_hash.hex()} for number, block_hash in verified.anchors()]
    out.write_bytes(content)
    hashes = " ".join(f"--block-hash {anchor['hash']}" for anchor in anchors)
    command = f"gridlease verify {out} {hashes} --ledger {verified.ledger}"
    facts: dict[str, Any] = {"file": str(out), "bytes": len(content), "kind": verified.KIND, "anchors": anchors}
    if as_json:
        typer.echo(json.dumps(facts | {"verify": command}, indent=2))
    else:
        typer.echo(f"{out}: {len(content)} bytes")
        typer.echo(f"check it with: {command}")
