"""`gridlease verify`: any proof file, checked offline. What must be trusted is a block hash, or two for a range."""

from pathlib import Path
from typing import Annotated, Any

import typer

from client.cli.claims import figures, guarantee, sentence
from client.cli.console import JSON_HELP, facts, print_json, refuse_usage, say
from protocol.bundle import Verified, VerifiedEvent, VerifiedHistory, replay, verify
from protocol.bundle.file import LARGEST_BYTES
from protocol.errors import NodeUnavailable
from protocol.events import to_json
from protocol.hashing import checksum_address, from_hex, to_hex
from protocol.rpc import Rpc

app = typer.Typer(name="verify", add_completion=False)


@app.command(
    name="verify",
    epilog="Examples: gridlease verify proof.json --block-hash 0x… · "
    "gridlease verify proof.json --rpc http://127.0.0.1:8545 · "
    "gridlease verify history.json --events events.ndjson --block-hash 0x…",
)
def check(
    proof: Annotated[
        Path,
        typer.Argument(
            help="A proof.json, from a lease's page or `gridlease indexer prove`.", exists=True, dir_okay=False
        ),
    ],
    block_hash: Annotated[
        list[str] | None,
        typer.Option("--block-hash", help="Hash of the block, from a source that you trust; twice for a range."),
    ] = None,
    rpc: Annotated[
        str | None, typer.Option("--rpc", help="Node that you trust; it is asked for the block's hash.")
    ] = None,
    ledger: Annotated[str | None, typer.Option("--ledger", help="Ledger that you mean; an absence needs it.")] = None,
    events: Annotated[
        Path | None,
        typer.Option("--events", help="List from `gridlease indexer export`.", exists=True, dir_okay=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Check an event, a lease's state, an absence or a whole history, without trusting who sent the file.

    Exit code 0: proved; 1: not, naming the step that fails.
    """
    if block_hash and rpc is not None:
        refuse_usage("give --block-hash or --rpc, not both")
    with proof.open("rb") as file:
        # One byte more than is allowed: a file without end is refused without being read.
        data = file.read(LARGEST_BYTES + 1)
    meant = None if ledger is None else from_hex(checksum_address(ledger), 20)
    verified = verify(data, [from_hex(one, 32) for one in block_hash or ()], meant)
    if rpc is not None:
        verified = verify(data, [_canonical_hash(rpc, number) for number, _ in verified.anchors()], meant)
    replayed = None if events is None else _replay(verified, events)
    if as_json:
        print_json(_answer(verified, replayed))
    else:
        _show(verified, replayed, asked_ledger=ledger is not None)


def _replay(verified: Verified, events: Path) -> int:
    if not isinstance(verified, VerifiedHistory):
        refuse_usage(f"--events goes with a proof of kind history, this one is of kind {verified.KIND}")
    with events.open("rb") as lines:
        return replay(verified, lines)


def _canonical_hash(url: str, number: int) -> bytes:
    with Rpc(url) as node:
        block = node.call("eth_getBlockByNumber", hex(number), False)
    if not isinstance(block, dict):
        raise NodeUnavailable(url, f"it knows no block {number}")
    return from_hex(str(block["hash"]), 32)


def _answer(verified: Verified, replayed: int | None) -> dict[str, Any]:
    answer: dict[str, Any] = {"valid": True, "trusted": verified.trusted, "words": sentence(verified)}
    answer["anchors"] = [{"number": number, "hash": to_hex(block)} for number, block in verified.anchors()]
    if replayed is not None:
        answer["events_replayed"] = replayed
    if not isinstance(verified, VerifiedEvent):
        return answer | verified.facts()
    return answer | {
        "kind": verified.KIND,
        "event": type(verified.event).__name__,
        "args": to_json(verified.event),
        "ledger": verified.ledger,
        "block_number": verified.block_number,
        "block_hash": to_hex(verified.block_hash),
        "block_time": verified.block_time,
        "transaction_index": verified.tx_index,
    }


def _show(verified: Verified, replayed: int | None, *, asked_ledger: bool) -> None:
    typer.echo(sentence(verified))
    facts(figures(verified))
    if not verified.trusted:
        number = verified.anchors()[0][0]
        typer.echo("The file is consistent. It proves this if each block hash above is the chain's:")
        say(f"compare it with a node (gridlease verify … --rpc URL; cast block {number} -f hash)")
        say("or with an explorer that you trust, then pass it by --block-hash.")
    elif replayed is None:
        typer.echo(guarantee(verified))
    if replayed is not None:
        given = "Proved" if verified.trusted else "If so"
        typer.echo(
            f"{given}: the {replayed:,} events of the list are all that the ledger recorded in this range, in order."
        )
    if not asked_ledger:
        say("Make sure that the ledger above is the one you use, or pass it by --ledger.")
