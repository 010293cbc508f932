"""The commands of whoever runs a market, `demo`, `dev`, `serve`, `deploy`, and of whoever checks it, `audit`.

Thin: `--help` loads nothing else.
"""

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[Path, typer.Option("--data-dir", help="Folder for this run; what an earlier run left is removed.")]
_DAYS_14 = 14 * 86_400
Port = Annotated[int, typer.Option("--port", min=1, max=65535, help="First port to try.")]


def demo(data_dir: DataDir = Path(".gridlease/demo"), port: Port = 8700) -> None:
    """Start everything, buy and run two real jobs, prove the payment, stop.

    Trains a digit classifier on one of two providers, reads held-out digits with it, and checks every step. The facts
    are left in summary.json of the folder, the logs in its logs.
    """
    from gridlease.demo import run_demo

    run_demo(data_dir, port)


def dev(data_dir: DataDir = Path(".gridlease/dev"), port: Port = 8700) -> None:
    """Keep a whole local market running: node, ledger, market and two providers.

    Prints what to try, restarts what dies. Ctrl-C stops it and leaves nothing behind.
    """
    from gridlease.dev import run_dev

    run_dev(data_dir, port)


def serve() -> None:
    """Serve the market's API and the explorer's pages until stopped.

    Listens on GRIDLEASE_HOST:GRIDLEASE_PORT (127.0.0.1:8700). Needs GRIDLEASE_DEPLOYMENT, the file that `gridlease
    deploy` wrote, and GRIDLEASE_RPC_URL.
    """
    from gridlease.serve import run_serve

    run_serve()


def deploy(
    rpc_url: Annotated[str, typer.Option("--rpc", help="The node's JSON-RPC.")],
    chain_id: Annotated[int | None, typer.Option(help="The chain that you mean; another one is refused.")] = None,
    key_file: Annotated[Path | None, typer.Option(help="File with the deployer's private key in hex.")] = None,
    token: Annotated[
        str | None, typer.Option(help="The 6-decimals stablecoin; on a dev chain a test dollar is made without it.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for <chain-id>.json.")] = Path("contracts/deployments"),
    verify: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Send nothing: compare what FILE names with the committed bytecode."),
    ] = None,
    court_stake: Annotated[
        str | None, typer.Option(metavar="DOLLARS", help="What a juror stakes. Default: 100; 1 on a dev chain.")
    ] = None,
    court_fee: Annotated[
        str | None, typer.Option(metavar="DOLLARS", help="What a juror earns a case. Default: 1; 0.01 on a dev chain.")
    ] = None,
    court_move: Annotated[
        int | None,
        typer.Option(metavar="SECONDS", min=1, max=_DAYS_14, help="For each move. Default: 6 h; 60 s on a dev chain."),
    ] = None,
    court_commit: Annotated[
        int | None,
        typer.Option(metavar="SECONDS", min=1, max=_DAYS_14, help="For a jury to commit. Default: 12 h, or 60 s."),
    ] = None,
    court_reveal: Annotated[
        int | None,
        typer.Option(metavar="SECONDS", min=1, max=_DAYS_14, help="For a jury to reveal. Default: 12 h, or 60 s."),
    ] = None,
    incomplete_blooms: Annotated[
        bool,
        typer.Option(
            "--incomplete-blooms",
            help="This chain's header blooms leave out logs: mirrors then read the receipts of every block.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document on stdout, also for errors.")
    ] = False,
) -> None:
    """Deploy registry, ledger and court from the committed bytecode, or verify a deployment.

    Every address follows from the bytecode and its settings (CREATE2), so a second run finds what is there and sends
    nothing. The longest case of a court, 33 moves and two juries, must be over within 14 days.

    Examples: gridlease deploy --rpc http://127.0.0.1:8545 --chain-id 31337 --key-file deployer.key ·
    gridlease deploy --rpc http://127.0.0.1:8545 --verify contracts/deployments/31337.json
    """
    from gridlease.deploying import CourtOptions, run_deploy, run_verify

    if verify is not None:
        if key_file is not None or token is not None:
            raise typer.BadParameter("--verify sends nothing, so it takes neither --key-file nor --token")
        run_verify(rpc_url, chain_id, verify, as_json=as_json)
        return
    if chain_id is None or key_file is None:
        raise typer.BadParameter("give --chain-id and --key-file, or --verify FILE")
    options = CourtOptions(stake=court_stake, fee=court_fee, move=court_move, commit=court_commit, reveal=court_reveal)
    run_deploy(rpc_url, chain_id, key_file, token, out, options, incomplete_blooms=incomplete_blooms, as_json=as_json)


audit = typer.Typer(name="audit", add_completion=False, no_args_is_help=True)


@audit.callback()
def _audit() -> None:
    """Check what a market did, without trusting it."""


@audit.command(
    name="auction",
    epilog="Example: gridlease audit auction 7 --url https://market.example --rpc http://127.0.0.1:8545 "
    "--receipt offer.json",
)
def audit_auction(
    number: Annotated[int, typer.Argument(min=1, help="The market's number of the auction.")],
    url: Annotated[str, typer.Option("--url", envvar="GRIDLEASE_URL", help="The market.")] = "http://127.0.0.1:8700",
    rpc: Annotated[
        str | None, typer.Option("--rpc", help="Node that you trust; it is asked what the auction came to.")
    ] = None,
    from_block: Annotated[int, typer.Option(min=0, help="First block to look for the auction in.")] = 0,
    receipt: Annotated[
        list[Path] | None,
        typer.Option("--receipt", help="Book receipt that you hold; may be repeated.", exists=True, dir_okay=False),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document on stdout, also for errors.")
    ] = False,
) -> None:
    """Hold an auction again, by its published book, and compare.

    Checks that the book is the one that the chain knows, that the rule gives the leases that were opened, and that your
    offers and orders were in it. Exit code 0: as the rule says; 1: not, naming each difference.
    """
    from gridlease.auditing import run_audit

    run_audit(number, url, rpc, from_block, receipt or [], as_json=as_json)
