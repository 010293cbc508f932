"""An indexer that is killed with signal 9 again and again, wherever it is: nothing is lost, nothing is there twice.

`python -m tests.faults.kills --kills 500 --seed 1` records a long run in bench/results/kills.json. Each process is
forked from one that has its imports done, so that the kills fall into the work and not into the start.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import IO, Final

import structlog

from bench.record import write
from indexer.errors import CursorMoved
from indexer.rebuild import rebuild_mirror
from tests.support.anvil import running_anvil
from tests.support.databases import SQLITE, Database
from tests.support.followed import Followed, canonical
from tests.support.ledger_world import LedgerWorld

_LONGEST_SECONDS: Final = 20.0
_FORKING: Final = """
import os, sys
import alembic.command, psycopg
from indexer import follower, pool, queries, source, store, watch
from indexer.cli import run
from indexer.settings import IndexerSettings
IndexerSettings()
for _ in sys.stdin:
    child = os.fork()
    if child == 0:
        sys.stdin.close()
        # What a killed indexer wrote half of must not stand before our own lines.
        os.dup2(2, 1)
        run()
        os._exit(0)
    print(child, flush=True)
    os.waitpid(child, 0)
    print("gone", flush=True)
"""


class WrongMirror(AssertionError):
    """Something was lost or doubled."""


class Kills:
    """A chain that grows, and an indexer that dies while it follows."""

    def __init__(self, folder: Path, world: LedgerWorld, database: Database = SQLITE) -> None:
        self._world = world
        self.followed = Followed(folder, world.deployment, world.rpc, database)
        environment = os.environ | {
            "GRIDLEASE_RPC_URL": world.rpc.url,
            "GRIDLEASE_RPC_WS_URL": "none",
            "GRIDLEASE_DEPLOYMENT": str(self.followed.settings.deployment),
            "GRIDLEASE_MIRROR_URL": self.followed.settings.mirror_url,
            "GRIDLEASE_BATCH_BLOCKS": "2",
            "GRIDLEASE_POLL_SECONDS": "0.01",
        }
        self._log = (folder / "indexer.log").open("wb")
        self._forking = subprocess.Popen(
            [sys.executable, "-c", _FORKING],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        world.story()

    def close(self) -> None:
        self._input.close()
        self._forking.wait(10)
        self._log.close()
        self.followed.close()

    @property
    def _input(self) -> IO[bytes]:
        assert self._forking.stdin is not None
        return self._forking.stdin

    def _line(self) -> str:
        """What the parent of the indexers says next."""
        assert self._forking.stdout is not None
        said = self._forking.stdout.readline().decode().strip()
        if not said:
            raise WrongMirror("the indexer's parent ended")
        return said

    def _start(self) -> int:
        self._input.write(b"go\n")
        self._input.flush()
        return int(self._line())

    def run(self, dice: Random) -> None:
        """Grows the chain, starts an indexer, kills it somewhere in its work."""
        node = self._world.node
        for _ in range(dice.randrange(1, 4)):
            self._world.deposit(dice.randrange(1, 99))
            node.mine(dice.randrange(1, 6))
        if dice.random() < 0.2:
            node.reorg(dice.randrange(1, 5))
            self._world.deposit(dice.randrange(1, 99))
        begun = self.followed.follower.cursor().hash
        child = self._start()
        try:
            deadline = time.monotonic() + _LONGEST_SECONDS
            while self.followed.follower.cursor().hash == begun:
                if time.monotonic() > deadline:
                    raise WrongMirror("an indexer did not go on where the last one was killed")
                time.sleep(0.005)
            time.sleep(dice.random() * 0.04)
        finally:
            os.kill(child, signal.SIGKILL)
            self._line()

    def settle(self) -> None:
        """Follows to the head, and compares with the chain, the contract, and a mirror made anew."""
        followed = self.followed
        # What the last indexer had sent may be committed by a server after its death.
        with suppress(CursorMoved):
            followed.catch_up()
        followed.catch_up()
        report = followed.verify()
        if not report.holds:
            raise WrongMirror(str(report.first or [check for check in report.checks if not check.holds]))
        live = canonical(followed.rows())
        rebuild_mirror(followed.settings, followed.deployment, followed.rpc, lambda _: None)
        if canonical(followed.rows()) != live:
            raise WrongMirror("the mirror that lived is not the one made anew")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", default="1")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    begun, dice = time.monotonic(), Random(options.seed)
    with running_anvil() as node, tempfile.TemporaryDirectory() as folder:
        campaign = Kills(Path(folder), LedgerWorld.deploy(node))
        try:
            for number in range(1, options.kills + 1):
                campaign.run(dice)
                if number % 50 == 0:
                    print(f"{number} of {options.kills} kills, {time.monotonic() - begun:.0f} s", flush=True)
            campaign.settle()
        except WrongMirror as error:
            print(f"seed {options.seed}: {error}", file=sys.stderr)
            return 1
        finally:
            campaign.close()
    rows = [
        {
            "name": "kill -9 at random points, nothing lost or doubled",
            "value": options.kills,
            "unit": "kills",
            "goal": 500,
            "holds": options.kills >= 500,
            "seed": options.seed,
            "duration_s": round(time.monotonic() - begun),
        }
    ]
    print(write("kills", rows, f"python -m tests.faults.kills --kills {options.kills} --seed {options.seed}"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
