"""What the end-to-end stories share: the two digit jobs, waiting, and the mirror's verdict."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from client.sdk import Client
from gridlease.house import House
from protocol.wire.jobs import Job

ROOT: Final = Path(__file__).parents[2]
DIGITS: Final = ROOT / "jobs" / "digits"
GOLDEN: Final[dict[str, Any]] = json.loads((ROOT / "tests/vectors/jobs.json").read_text())


def until(holds: Callable[[], bool], seconds: float, what: str) -> None:
    """Waits for a fact; fails with its name."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.1)


def training(client: Client) -> dict[str, Any]:
    """The training job's manifest, its files uploaded."""
    manifest: dict[str, Any] = json.loads((DIGITS / "train.json").read_text())
    assert client.files.put(DIGITS / "train.wasm") == manifest["module"]
    assert client.files.put(DIGITS / "data" / "digits.csv") == manifest["inputs"]["digits.csv"]
    return manifest


def settled(client: Client, job_id: str, seconds: float = 60) -> Job:
    """The job once all its leases are Closed in the mirror."""
    until(lambda: client.job(job_id).settlement in ("released", "refunded"), seconds, f"{job_id} to settle")
    return client.job(job_id)


def command(house: House, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Runs `gridlease …` with the house's settings."""
    return subprocess.run(
        [sys.executable, "-m", "gridlease.cli", *arguments],
        env={**os.environ, **house.environment, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
