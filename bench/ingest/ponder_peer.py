"""Ponder on the same chain and database: installed once from npm, run as its own documentation says.

Timed from the start of its process until `/ready`; how long Node takes until Ponder's first line is told apart. The
"historical" part of Ponder ends 30 blocks below the head, so it has that much less to do.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import psycopg

from protocol.calls import artefact
from protocol.deployment import Deployment
from tests.support.anvil import free_port

SOURCES: Final = Path(__file__).parent / "ponder"
FOLDER: Final = Path(".gridlease/peers/ponder")
VERSION: Final = "1.0.0"
_LONGEST_SECONDS: Final = 300.0
_SCHEMA: Final = "ponder"


@dataclass(frozen=True, slots=True)
class PonderRun:
    """One run."""

    #: from the start of the process until it is ready
    seconds: float
    #: of which until its first line of log
    start_seconds: float
    #: rows in its table
    events: int


def install() -> Path:
    """The folder to run in; installs it the first time."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    shutil.copytree(SOURCES, FOLDER, dirs_exist_ok=True)
    event = [item for item in artefact("ComputeLedger")["abi"] if item.get("name") == "LeaseOpened"]
    (FOLDER / "abi.json").write_text(json.dumps(event))
    if not (FOLDER / "node_modules/ponder").exists():
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent"], cwd=FOLDER, check=True)
    return FOLDER


def run(folder: Path, rpc_url: str, deployment: Deployment, dsn: str) -> PonderRun:
    """Indexes from nothing into an empty database."""
    port = free_port()
    environment = os.environ | {
        "PONDER_TELEMETRY_DISABLED": "1",
        "DO_NOT_TRACK": "1",
        "DATABASE_URL": dsn,
        "DATABASE_SCHEMA": _SCHEMA,
        "RPC_URL": rpc_url,
        "LEDGER": deployment.ledger,
    }
    shutil.rmtree(folder / ".ponder", ignore_errors=True)
    log = folder / "run.log"
    with log.open("wb") as output:
        begun = time.perf_counter()
        process = subprocess.Popen(
            ["node", "node_modules/.bin/ponder", "start", "--port", str(port)],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            started = _await(lambda: log.stat().st_size > 0, process, log) - begun
            seconds = _await(lambda: _ready(port), process, log) - begun
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)
    with psycopg.connect(dsn) as connection:
        row = connection.execute(f"SELECT count(*) FROM {_SCHEMA}.lease").fetchone()  # noqa: S608 (our own name)
    return PonderRun(seconds=seconds, start_seconds=started, events=int(row[0]) if row else 0)


def _ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/ready", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def _await(holds: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> float:
    """When it first held."""
    deadline = time.perf_counter() + _LONGEST_SECONDS
    while not holds():
        if process.poll() is not None or time.perf_counter() > deadline:
            raise SystemExit(f"Ponder did not get ready: {log.read_text()[-2000:]}")
        time.sleep(0.02)
    return time.perf_counter()
