"""`gridlease verify`: one payment, checked offline. What must be trusted for it is one block hash."""

from pathlib import Path
from typing import Annotated

import typer

from client.cli.console import JSON_HELP, facts, moment, print_json, refuse_usage, say
from client.cli.words import words
from protocol.bundle import VerifiedEvent, verify_bundle
from protocol.errors import BadProof, NodeUnavailable
from protocol.events import to_json
from protocol.hashing import checksum_address, from_hex, to_hex
from protocol.rpc import Rpc

app = typer.Typer(name="verify", add_completion=False)


@app.command(
    epilog="Examples: gridlease verify proof.json --block-hash 0x… · gridlease verify proof.json --rpc http://127.0.0.1:8545"
)
def verify(
    proof: Annotated[
        Path, typer.Argument(help="proof.json, as a lease's page offers it.", exists=True, dir_okay=False)
    ],
    block_hash: Annotated[
        str | None, typer.Option("--block-hash", help="Hash of the block, from a source that you trust.")
    ] = None,
    rpc: Annotated[
        str | None, typer.Option("--rpc", help="Node that you trust; it is asked for the block's hash.")
    ] = None,
    ledger: Annotated[str | None, typer.Option("--ledger", help="Ledger that the event must come from.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Check that a block holds one ledger event, without trusting who sent the file.

    Exit code 0: proved; 1: not, naming the step that fails.
    """
    if block_hash is not None and rpc is not None:
        refuse_usage("give --block-hash or --rpc, not both")
    data = proof.read_bytes()
    trusted = from_hex(block_hash, 32) if block_hash is not None else None
    verified = verify_bundle(data, trusted)
    if rpc is not None:
        verified = verify_bundle(data, _canonical_hash(rpc, verified.block_number))
    if ledger is not None and checksum_address(ledger) != checksum_address(verified.ledger):
        raise BadProof("ledger", f"expected an event of {ledger}, found one of {verified.ledger}")
    _show(verified, asked_ledger=ledger is not None, as_json=as_json)


def _canonical_hash(url: str, number: int) -> bytes:
    with Rpc(url) as node:
        block = node.call("eth_getBlockByNumber", hex(number), False)
    if not isinstance(block, dict):
        raise NodeUnavailable(url, f"it knows no block {number}")
    return from_hex(str(block["hash"]), 32)


def _show(verified: VerifiedEvent, *, asked_ledger: bool, as_json: bool) -> None:
    sentence = words(verified.event)
    if as_json:
        print_json(
            {
                "valid": True,
                "trusted": verified.trusted,
                "event": type(verified.event).__name__,
                "args": to_json(verified.event),
                "words": sentence,
                "ledger": verified.ledger,
                "block_number": verified.block_number,
                "block_hash": to_hex(verified.block_hash),
                "block_time": verified.block_time,
                "transaction_index": verified.tx_index,
            }
        )
        return
    typer.echo(sentence)
    facts(
        [
            ("block", f"{verified.block_number}, {moment(verified.block_time)}"),
            ("block hash", to_hex(verified.block_hash)),
            ("transaction", f"number {verified.tx_index} of the block"),
            ("ledger", verified.ledger),
        ]
    )
    if verified.trusted:
        typer.echo("Proved: the block holds this event.")
    else:
        typer.echo("The file is consistent. It proves the payment if the block hash above is the chain's:")
        say(f"compare it with a node (gridlease verify … --rpc URL; cast block {verified.block_number} -f hash)")
        say("or with an explorer that you trust, then pass it by --block-hash.")
    if not asked_ledger:
        say("Make sure that the ledger above is the one you use, or pass it by --ledger.")
