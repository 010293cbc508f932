"""Ingest of 100,000 lease-like events over 1,001 blocks: ours, Ponder, and web3.py with SQLModel, one after another.

One local node, one PostgreSQL over TCP, one run; medians of `RUNS`. Ours writes raw events, typed rows, projections and
cursor with every block's receipts trie rebuilt, and counts only if the mirror is then equal to the chain, row by row.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from bench.ingest import ponder_peer
from bench.ingest.chain import filled_chain
from bench.ingest.gate import require_the_chain
from bench.record import write
from indexer.store import open_writer
from protocol.deployment import Deployment
from tests.support.anvil import Anvil
from tests.support.postgres import Postgres, running_postgres

EVENTS: Final = 100_000


def _python(module: str, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise SystemExit(f"{module}: {done.stderr[-2000:]}")
    facts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return facts


def _ours(node: Anvil, deployment: Deployment, file: Path, url: str) -> dict[str, Any]:
    facts = _python("bench.ingest.ours", node.url, str(file), url)
    engine = open_writer(url)
    require_the_chain(engine, node.rpc, deployment)
    engine.dispose()
    return facts


def measure(node: Anvil, deployment: Deployment, postgres: Postgres, folder: Path, runs: int) -> list[dict[str, Any]]:
    """The rows of the results file."""
    file = folder / "deployment.json"
    deployment.save(file)
    ponder = ponder_peer.install()
    ours, plain, peer = [], [], []
    for number in range(runs):
        ours.append(_ours(node, deployment, file, postgres.new_database()))
        peer.append(ponder_peer.run(ponder, node.url, deployment, postgres.dsn(), number))
        plain.append(_python("bench.ingest.plain", node.url, deployment.ledger, postgres.url("postgres")))
        print(
            f"run {number + 1} of {runs}: {ours[-1]['ingest_s']:.1f} s ours, {peer[-1].seconds:.1f} s Ponder",
            flush=True,
        )
    mine = statistics.median(facts["events"] / facts["ingest_s"] for facts in ours)
    theirs = statistics.median(run.events / run.seconds for run in peer)
    running = statistics.median(run.events / (run.seconds - run.start_seconds) for run in peer)
    naive = statistics.median(facts["events"] / facts["ingest_s"] for facts in plain)
    return [
        {"name": "ours, every receipts trie rebuilt, head proved", "value": round(mine), "unit": "events/s"},
        {"name": f"Ponder {ponder_peer.VERSION}, from its start", "value": round(theirs), "unit": "events/s"},
        {"name": f"Ponder {ponder_peer.VERSION}, from its first line", "value": round(running), "unit": "events/s"},
        {"name": "web3.py get_logs + SQLModel", "value": round(naive), "unit": "events/s"},
        _ratio("ours ÷ Ponder", mine / theirs, 4),
        _ratio("ours ÷ web3.py + SQLModel", mine / naive, 12),
    ]


def _ratio(name: str, value: float, goal: float) -> dict[str, Any]:
    return {"name": name, "value": round(value, 2), "unit": "×", "goal": goal, "holds": value >= goal}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with (
        filled_chain(options.events) as (node, deployment),
        running_postgres() as postgres,
        tempfile.TemporaryDirectory() as folder,
    ):
        rows = measure(node, deployment, postgres, Path(folder), options.runs)
    for row in rows:
        print(f"{row['name']:48} {row['value']} {row['unit']}")
    # A shorter chain is for trying it out.
    if options.events >= EVENTS:
        print(write("ingest", rows))


if __name__ == "__main__":
    main()
