"""Reorgs of every depth under a follower: within three blocks the mirror is the chain again, to the row.

`python -m tests.faults.reorgs --rounds 20 --seed 1` records every depth from 1 to 64 that often.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Final

import structlog

from bench.record import write
from protocol.events import LedgerHead
from protocol.hashing import from_hex
from protocol.wallet import read
from tests.support.anvil import running_anvil
from tests.support.databases import SQLITE, Database
from tests.support.followed import Followed
from tests.support.ledger_world import LedgerWorld

DEEPEST: Final = 64
#: blocks in which the mirror must be the chain again
_SOON: Final = 3
#: reorgs of one chain: on a long one anvil forgets the state that it goes back to
_A_CHAIN: Final = 8


class WrongMirror(AssertionError):
    """The mirror is not the chain."""


class Reorgs:
    """A ledger whose newest blocks are replaced again and again."""

    def __init__(self, folder: Path, world: LedgerWorld, database: Database = SQLITE) -> None:
        self._world = world
        self.followed = Followed(folder, world.deployment, world.rpc, database)
        world.story()
        world.node.mine(DEEPEST + 8)
        self.followed.catch_up()

    def close(self) -> None:
        self.followed.close()

    def run(self, depth: int, dice: Random) -> None:
        """Events in and below the blocks that go, others in those that come. Raises `WrongMirror`."""
        node = self._world.node
        for _ in range(dice.randrange(1, 4)):
            self._world.deposit(dice.randrange(1, 99))
            node.mine(dice.randrange(1, 1 + max(1, depth // 2)))
        # An event in the lowest block that goes: an empty one would come back with the same hash.
        self._world.deposit(1)
        if depth > 1:
            node.mine(depth - 1)
        before = self.followed.catch_up()
        node.reorg(depth)
        for _ in range(dice.randrange(_SOON)):
            self._world.deposit(dice.randrange(1, 99))
        after = self.followed.catch_up()
        if after.reorg_epoch != before.reorg_epoch + 1:
            raise WrongMirror(f"depth {depth}: {after.reorg_epoch - before.reorg_epoch} reorgs were seen")
        if self.followed.mirror.reorgs(1)[0].depth != depth:
            raise WrongMirror(f"depth {depth}: {self.followed.mirror.reorgs(1)[0].depth} was noted")
        if after.hash != from_hex(self._world.rpc.call("eth_getBlockByNumber", "latest", False)["hash"], 32):
            raise WrongMirror(f"depth {depth}: the mirror is not at the node's head")
        if after.head != LedgerHead(*read(self._world.rpc, "ComputeLedger", self._world.deployment.ledger, "head")):
            raise WrongMirror(f"depth {depth}: the ledger head is another")

    def verify(self) -> None:
        """Every row against the chain and the contract. Raises `WrongMirror`."""
        report = self.followed.verify()
        if not report.holds:
            raise WrongMirror(str(report.first or [check for check in report.checks if not check.holds]))


def _run(depths: list[int], dice: Random) -> None:
    """On a chain of their own. Raises `WrongMirror`."""
    with running_anvil() as node, tempfile.TemporaryDirectory() as folder:
        campaign = Reorgs(Path(folder), LedgerWorld.deploy(node))
        try:
            for depth in depths:
                campaign.run(depth, dice)
            campaign.verify()
        finally:
            campaign.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", default="1")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    begun = time.monotonic()
    reorgs = 0
    for number in range(options.rounds):
        dice = Random(f"{options.seed}/{number}")
        depths = dice.sample(range(1, DEEPEST + 1), DEEPEST)
        try:
            for start in range(0, DEEPEST, _A_CHAIN):
                _run(depths[start : start + _A_CHAIN], dice)
                reorgs += len(depths[start : start + _A_CHAIN])
        except WrongMirror as error:
            print(f"seed {options.seed}/{number}: {error}", file=sys.stderr)
            return 1
        print(f"round {number + 1} of {options.rounds}: {reorgs} reorgs, {time.monotonic() - begun:.0f} s", flush=True)
    rows = [
        {
            "name": "reorgs of each depth 1–64, mirror = chain",
            "value": reorgs,
            "unit": "reorgs",
            "goal": 1280,
            "holds": reorgs >= 1280,
            "seeds": f"{options.seed}/0..{options.rounds - 1}",
            "duration_s": round(time.monotonic() - begun),
        }
    ]
    print(write("reorgs", rows, f"python -m tests.faults.reorgs --rounds {options.rounds} --seed {options.seed}"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
