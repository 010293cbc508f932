"""`gridlease dev`: the whole system, kept up until Ctrl-C."""

import shlex
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from rich.console import Console

from gridlease.demo import JOBS
from gridlease.house import House


class _Stop(Exception):
    """SIGTERM or Ctrl-C."""


def run_dev(data_dir: Path, port: int) -> None:
    """Starts everything, prints what to try, restarts what dies. Ctrl-C stops it and leaves nothing behind."""
    console = Console()
    house = House(data_dir, port=port)
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        with console.status("starting node, ledger, indexer, market, worker and two providers"):
            house.open()
            _upload(house)
            # What is printed next works at once.
            house.wait_for_providers()
        _greet(console, house)
        while True:
            house.supervisor.tend()
            time.sleep(0.2)
    except _Stop:
        console.print("stopping")
    finally:
        # A second Ctrl-C must not leave half of it running.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        house.close()


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise _Stop


def _upload(house: House) -> None:
    """The example job's files, so that the printed curl works as it is."""
    with house.client() as client:
        for path in (JOBS / "train.wasm", JOBS / "classify.wasm", JOBS / "data" / "digits.csv"):
            client.files.put(path)


def _from_here(path: Path) -> Path:
    """As short as the reader can type it where the command was called."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _greet(console: Console, house: House) -> None:
    train, command = _from_here(JOBS / "train.json"), _from_here(Path(sys.executable).with_name("gridlease"))
    body = f'{{\\"manifest\\": $(cat {train}), \\"max_price\\": \\"0.05\\"}}'
    lines = (
        "",
        f"[bold]explorer[/]   {house.url}",
        f"[bold]API docs[/]   {house.url}/docs",
        f"[bold]test key[/]   {house.api_key}",
        f"[bold]node[/]       {house.rpc_url}  (chain 31337, test dollars only)",
        f"[bold]settings[/]   set -a; . {_from_here(house.folder)}/environment; set +a; {command} indexer verify",
        "",
        "Buy the training job:",
        f"  curl -sX POST {house.url}/v1/jobs -H 'Authorization: Bearer {house.api_key}' \\",
        "    -H \"Idempotency-Key: $RANDOM\" -H 'Prefer: wait=60' -H 'Content-Type: application/json' \\",
        f'    -d "{body}"',
        "or the same with a progress bar:",
        f"  GRIDLEASE_URL={house.url} GRIDLEASE_KEY={house.api_key} {command} run {train}",
        "",
        f"Logs are in {house.folder}/logs. Ctrl-C stops everything.",
    )
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)
    settings = "".join(f"{name}={shlex.quote(value)}\n" for name, value in house.environment.items())
    (house.folder / "environment").write_text(settings + f"GRIDLEASE_URL={house.url}\n")
