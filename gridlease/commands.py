"""The commands of whoever runs a market: `demo`, `dev`, `serve`, `deploy`. Thin: `--help` loads nothing else."""

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[Path, typer.Option("--data-dir", help="Folder for this run; what an earlier run left is removed.")]
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
    chain_id: Annotated[int, typer.Option(help="The chain that you mean; another one is refused.")],
    key_file: Annotated[Path, typer.Option(help="File with the deployer's private key in hex.")],
    token: Annotated[
        str | None, typer.Option(help="The 6-decimals stablecoin; on a dev chain a test dollar is made without it.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for <chain-id>.json.")] = Path("contracts/deployments"),
) -> None:
    """Deploy the ledger from the committed bytecode.

    Example: gridlease deploy --rpc http://127.0.0.1:8545 --chain-id 31337 --key-file deployer.key
    """
    from gridlease.deploy import run_deploy

    run_deploy(rpc_url, chain_id, key_file, token, out)
