"""Ingest of 100,000 lease-like events over 1,001 blocks: ours, Ponder, web3.py with SQLModel, cryo, one after another.

One local node, one PostgreSQL over TCP, one run; medians of `--runs`. Each has a database that is gone before the next
begins. Ours writes raw events, typed rows, projections, cursor and all indexes, and counts only if the mirror is then
equal to the chain, row by row.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from bench.ingest import cryo_peer, ponder_peer
from bench.ingest.chain import filled_chain
from bench.ingest.gate import require_the_chain
from bench.record import write
from indexer.store import open_writer
from protocol.deployment import Deployment
from tests.support.anvil import Anvil
from tests.support.postgres import Postgres, running_postgres

EVENTS: Final = 100_000
#: ours: by light blocks in both ways, and without any check
MODES: Final = ("head", "receipts", "trusting")


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


def _ours(node: Anvil, deployment: Deployment, file: Path, postgres: Postgres, mode: str) -> dict[str, Any]:
    with postgres.passing_database() as name:
        facts = _python("bench.ingest.ours", node.url, str(file), postgres.url(name), mode)
        if mode != "trusting":
            engine = open_writer(postgres.url(name))
            require_the_chain(engine, node.rpc, deployment)
            engine.dispose()
    return facts


def measure(
    node: Anvil, deployment: Deployment, postgres: Postgres, folder: Path, runs: int
) -> Iterator[list[dict[str, Any]]]:
    """The rows of the results file, after each run: a run takes minutes, and what was measured should not be lost."""
    file = folder / "deployment.json"
    deployment.save(file)
    ponder, cryo, head = ponder_peer.install(), cryo_peer.install(), node.rpc.block_number()
    speeds: dict[str, list[float]] = {}
    for number in range(runs):
        done = {mode: _ours(node, deployment, file, postgres, mode) for mode in MODES}
        with postgres.passing_database() as name:
            peer = ponder_peer.run(ponder, node.url, deployment, postgres.dsn(name))
        with postgres.passing_database() as name:
            done["plain"] = _python("bench.ingest.plain", node.url, deployment.ledger, postgres.url(name))
        done["cryo"] = cryo_peer.run(cryo, node.url, deployment.ledger, head)
        done["ponder"] = {"events": peer.events, "ingest_s": peer.seconds}
        done["ponder running"] = {"events": peer.events, "ingest_s": peer.seconds - peer.start_seconds}
        for name, facts in done.items():
            speeds.setdefault(name, []).append(facts["events"] / facts["ingest_s"])
        print(
            f"run {number + 1} of {runs}: {', '.join(f'{name} {of[-1]:.0f}' for name, of in speeds.items())}",
            flush=True,
        )
        yield [
            row | {"runs": number + 1} for row in _rows({name: statistics.median(of) for name, of in speeds.items()})
        ]


def _rows(speed: dict[str, float]) -> list[dict[str, Any]]:
    return [
        _speed("ours, ranges proved to the ledger head", speed["head"]),
        _speed("ours, every receipts trie rebuilt, head proved", speed["receipts"]),
        _speed("ours, nothing checked", speed["trusting"]),
        _speed(f"Ponder {ponder_peer.VERSION}, from its start", speed["ponder"]),
        _speed(f"Ponder {ponder_peer.VERSION}, from its first line", speed["ponder running"]),
        _speed("web3.py get_logs + SQLModel", speed["plain"]),
        _speed(f"cryo {cryo_peer.VERSION}, decoded parquet", speed["cryo"]),
        _ratio("proved to the head ÷ Ponder", speed["head"] / speed["ponder"], 6),
        _ratio("every receipts trie ÷ Ponder", speed["receipts"] / speed["ponder"], 4),
        _ratio("every receipts trie ÷ web3.py + SQLModel", speed["receipts"] / speed["plain"], 12),
        {"name": "proved to the head ÷ cryo", "value": round(speed["head"] / speed["cryo"], 2), "unit": "×"},
        _cost("of proving the head", speed["head"], speed["trusting"], 10),
        _cost("of every receipts trie", speed["receipts"], speed["trusting"], 45),
    ]


def _speed(name: str, value: float) -> dict[str, Any]:
    return {"name": name, "value": round(value), "unit": "events/s"}


def _ratio(name: str, value: float, goal: float) -> dict[str, Any]:
    return {"name": name, "value": round(value, 2), "unit": "×", "goal": goal, "holds": value >= goal}


def _cost(name: str, checked: float, trusting: float, goal: int) -> dict[str, Any]:
    """Of the time of a run that checks, how much a run without is shorter."""
    percent = 100 * (1 - checked / trusting)
    return {"name": f"cost {name}", "value": round(percent), "unit": "%", "goal": goal, "holds": percent <= goal}


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
        for rows in measure(node, deployment, postgres, Path(folder), options.runs):
            # A shorter chain is for trying it out.
            if options.events >= EVENTS:
                write("ingest", rows, f"python -m bench.ingest --runs {options.runs}")
    for row in rows:
        print(f"{row['name']:48} {row['value']} {row['unit']}")


if __name__ == "__main__":
    main()
