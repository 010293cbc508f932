"""What a reorg of 64 blocks costs, from the look that finds it until the mirror is at the new head. SQLite."""

import statistics
import tempfile
import time
from pathlib import Path

import structlog
from sqlalchemy import func, select

from bench.ingest.chain import PER_TRANSACTION, filled_chain
from bench.ingest.gate import require_the_chain
from bench.record import write
from indexer.tables import TABLES
from tests.support.followed import Followed

DEPTH = 64
BEFORE = 400
PER_BLOCK = 6
RUNS = 5
GOAL_MS, GOAL_ROWS = 250, 10_000


def _rows(followed: Followed) -> int:
    """Rows that a block takes part in, orphaned ones left out."""
    events, total = TABLES["events"], 0
    with followed.engine.connect() as connection:
        for name in ("leases", "lease_versions", "account_versions", "parties", "payments"):
            total += connection.execute(select(func.count()).select_from(TABLES[name])).scalar_one()
        total += connection.execute(select(func.count()).where(events.c.canonical)).scalar_one()
    return total


def _run() -> tuple[float, int]:
    """Milliseconds, and rows undone."""
    events = (BEFORE + DEPTH) * PER_BLOCK * PER_TRANSACTION
    with filled_chain(events, PER_BLOCK) as (node, deployment), tempfile.TemporaryDirectory() as folder:
        followed = Followed(Path(folder), deployment, node.rpc)
        followed.catch_up()
        before = _rows(followed)
        node.reorg(DEPTH)
        head = node.rpc.block_number()
        begun = time.perf_counter()
        while followed.follower.step():
            if followed.follower.cursor().number == head and followed.follower.cursor().reorg_epoch == 1:
                break
        took = 1000 * (time.perf_counter() - begun)
        undone = before - _rows(followed)
        followed.catch_up()
        require_the_chain(followed.engine, node.rpc, deployment)
        if followed.mirror.reorgs(1)[0].depth != DEPTH:
            raise SystemExit("another reorg: no figure")
        followed.close()
    return took, undone


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    runs = [_run() for _ in range(RUNS)]
    took, undone = round(statistics.median(ms for ms, _ in runs)), min(rows for _, rows in runs)
    holds = took <= GOAL_MS and undone >= GOAL_ROWS
    rows = [
        {"name": f"reorg of {DEPTH} blocks, detect → at the new head", "value": took, "unit": "ms", "goal": GOAL_MS},
        {"name": "rows undone, at least", "value": undone, "unit": "rows", "goal": GOAL_ROWS, "holds": holds},
    ]
    for row in rows:
        print(f"{row['name']:48} {row['value']} {row['unit']}")
    print(write("reorg", rows))


if __name__ == "__main__":
    main()
