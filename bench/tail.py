"""How long after a block is mined its event is in the mirror, and what a deep reorg costs; one local node, SQLite.

The follower runs as `gridlease indexer run` does, in this process; the reader polls the read door as a page would.
"""

import statistics
import tempfile
import threading
import time
from pathlib import Path

import structlog

from bench.record import write
from protocol.calls import encode_call
from protocol.hashing import to_hex
from protocol.wallet import send
from tests.support.anvil import DEPLOYER, running_anvil
from tests.support.followed import Followed
from tests.support.ledger_world import LedgerWorld

BLOCKS = 300
GOAL_MS = 150


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def _delays(world: LedgerWorld, followed: Followed) -> list[float]:
    """Milliseconds from before the node is told to mine a deposit until the mirror has its block."""
    delays = []
    rpc, ledger, token, buyer = world.rpc, world.deployment.ledger, world.deployment.token, world.buyer
    send(rpc, DEPLOYER, "TestDollar", token, "mint", buyer.address, BLOCKS)
    send(rpc, buyer, "TestDollar", token, "approve", ledger, BLOCKS)
    data = to_hex(encode_call("ComputeLedger", "deposit", buyer.address, 1))
    deposit = {"from": buyer.address, "to": ledger, "data": data, "gas": hex(300_000)}
    rpc.call("evm_setAutomine", False)
    for _ in range(BLOCKS):
        rpc.call("eth_sendTransaction", deposit)
        number = rpc.block_number() + 1
        begun = time.perf_counter()
        rpc.call("evm_mine")
        while followed.mirror.status().block_number < number:
            time.sleep(0.001)
        delays.append(1000 * (time.perf_counter() - begun))
        time.sleep(0.02)
    return delays


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with running_anvil() as node, tempfile.TemporaryDirectory() as folder:
        world = LedgerWorld.deploy(node)
        followed = Followed(Path(folder), world.deployment, world.rpc)
        stop = threading.Event()
        thread = threading.Thread(target=followed.follower.run, args=(stop,))
        followed.catch_up()
        events = followed.follower.cursor().event_count
        thread.start()
        time.sleep(1)
        try:
            delays = _delays(world, followed)
        finally:
            stop.set()
            thread.join()
        # A mirror that is not the chain voids the figure.
        if not followed.verify().holds or followed.follower.cursor().event_count != events + BLOCKS:
            raise SystemExit("the mirror is not the chain: no figure")
        followed.close()
    p99 = round(_percentile(delays, 0.99), 1)
    rows = [
        {"name": "mined → in the mirror, median", "value": round(statistics.median(delays), 1), "unit": "ms"},
        {"name": "mined → in the mirror, p99", "value": p99, "unit": "ms", "goal": GOAL_MS, "holds": p99 <= GOAL_MS},
    ]
    for row in rows:
        print(f"{row['name']:36} {row['value']} {row['unit']}")
    print(write("tail", rows))


if __name__ == "__main__":
    main()
