"""A market that submits through nodes that fail, on a chain that reorganises, while it is killed again and again.

`python -m tests.faults.submission --cycles 60 --seed 1 --record` keeps a run in bench/results, `--until 500` goes on
with what is kept there. A cycle is some jobs, some trouble, and two kills: at one of the named crash points
(backend/crash_points.py), one after the other, and anywhere. Then the trouble ends, and within a minute nothing may be
lost, doubled, stuck or jammed: each job has one lease, closed and paid what its vouchers say, in the ledger as in the
mirror as in the market's database.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import IO, Final

import structlog

from backend.crash_points import NAMES
from protocol.errors import ChainError, GridleaseError
from tests.faults import shards
from tests.faults.faulty_node import FaultyNode
from tests.faults.jumping_clock import VARIABLE, jump
from tests.faults.shards import MINUTE_SECONDS, Outcome, Shard
from tests.support.anvil import MATCHER, running_anvil
from tests.support.ledger_world import LedgerWorld
from tests.support.submission_world import SETTLEMENT, SubmissionWorld

_BLOCK_SECONDS: Final = 0.15
_LONG_SECONDS: Final = 4.0
#: until a process has come by at a crash point
_POINT_SECONDS: Final = 12.0
_USUAL_BASE_FEE_WEI: Final = 10**9
_DEEPEST: Final = 5
_WORST: Final = ("reorg", "spike", "foreign", "drop", "fill up", "clock")
#: longer than most that the market waits for, and too short to give up a lease
_JUMPS_SECONDS: Final = (-45, 45)


class Broken(AssertionError):
    """Something was lost, doubled, stuck or jammed."""


class Submission:
    """The chain, its faulty nodes, and a market that dies."""

    def __init__(self, folder: Path, ledger: LedgerWorld) -> None:
        self.ledger = ledger
        self.nodes = [FaultyNode(ledger.rpc), FaultyNode(ledger.rpc)]
        self.world = SubmissionWorld(folder, ledger, ",".join(node.url for node in self.nodes))
        self.told: Counter[str] = Counter()
        self.crashes: Counter[str] = Counter()
        self.longest_seconds = 0.0
        self._base_fee_wei = _USUAL_BASE_FEE_WEI
        self._clock = folder / "clock"
        self._log = (folder / "market.log").open("wb")
        self.log_file = folder / "market.log"
        self._forking = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.submission_market"],
            env={**os.environ, **self.world.environment, VARIABLE: str(self._clock)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        ledger.node.mine(10)
        ledger.rpc.call("evm_setAutomine", False)
        self._stop = threading.Event()
        #: whoever holds it keeps the chain and the mirror as they are
        self._still = threading.Lock()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._mine, self._follow)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._stand_still()
        self._input.close()
        self._forking.wait(10)
        self._log.close()
        for node in self.nodes:
            node.close()
        self.world.close()

    def cycle(self, number: int, dice: Random) -> None:
        """Raises `Broken`."""
        self.world.queue_jobs(dice.randrange(1, 4))
        for node in self.nodes:
            node.begin(dice, share=dice.choice((0.1, 0.3)))
        self._life(NAMES[number % len(NAMES)], _POINT_SECONDS, dice)
        self._life("", _LONG_SECONDS if dice.random() < 0.2 else dice.uniform(0.3, 1.3), dice)
        self._heal()

    def _life(self, point: str, seconds: float, dice: Random) -> None:
        """Of one market, in trouble, which ends at the crash point, or when its time is over."""
        with self._market(point) as market:
            end = time.monotonic() + seconds
            while time.monotonic() < end and market.alive():
                time.sleep(dice.uniform(0.05, 0.3))
                if dice.random() < 0.5:
                    self._trouble("foreign" if point == "intents.released" else dice.choice(_WORST), dice)
            died = not market.alive()
        self.crashes[point if died and point else "anywhere"] += 1

    def settle(self) -> None:
        """Until all is done, and then all is final; then the chain stands still and is compared. Raises `Broken`."""
        with self._market(""):
            self._until(lambda: self._unfinished() is None, time.monotonic())
            self._until(lambda: self.world.watched() == 0, time.monotonic())
        self._stand_still()
        self.world.followed.catch_up()
        self._require_exact()
        report = self.world.followed.verify()
        if not report.holds:
            raise Broken(str(report.first or [check for check in report.checks if not check.holds]))

    def all_told(self) -> dict[str, int | dict[str, int]]:
        """What came of it, in numbers."""
        return {
            "jobs": self.world.jobs,
            "calls": sum(node.calls for node in self.nodes),
            "crashes": dict(self.crashes),
            "faults": dict(self.told + sum((node.told for node in self.nodes), Counter())),
            "transactions": self.world.ends(),
        }

    def _stand_still(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(10)

    def _heal(self) -> None:
        for node in self.nodes:
            node.be_well()
        self._base_fee_wei = _USUAL_BASE_FEE_WEI
        jump(self._clock, 0)
        begun = time.monotonic()
        while True:
            with self._market(""):
                self._until(lambda: self._unfinished() is None, begun)
            with self._still:
                self.world.followed.catch_up()
                # What a process that was alive until now asked for after the look is work for the next one.
                if self.world.unfinished() is None:
                    self._require_exact()
                    break
        self.longest_seconds = max(self.longest_seconds, time.monotonic() - begun)

    def _unfinished(self) -> str | None:
        """Of a mirror that is the chain: before it has seen a reorg all looks done."""
        with self._still:
            self.world.followed.catch_up()
            return self.world.unfinished()

    def _require_exact(self) -> None:
        try:
            self.world.require_exact()
        except AssertionError as error:
            raise Broken(traceback.format_exc(limit=-1)) from error

    def _until(self, holds: Callable[[], bool], begun: float) -> None:
        deadline = begun + MINUTE_SECONDS
        while not holds():
            if time.monotonic() > deadline:
                raise Broken(f"after a minute: {self.world.unfinished()}, {self.world.watched()} not final")
            time.sleep(0.1)

    def _trouble(self, kind: str, dice: Random) -> None:
        self.told[kind] += 1
        with contextlib.suppress(ChainError):
            if kind == "reorg":
                # A dev node that mines in the middle of a reorg seals a block whose parent's state it has not.
                with self._still:
                    self.ledger.node.reorg(dice.randrange(1, _DEEPEST + 1))
            elif kind == "spike":
                # The third is over the market's cap, so that only a cancel could be mined.
                self._base_fee_wei = dice.choice((10, 100, 600)) * _USUAL_BASE_FEE_WEI
            elif kind == "foreign":
                self.world.foreign_transaction(dice.choice((MATCHER, SETTLEMENT)), dice)
            elif kind == "clock":
                jump(self._clock, dice.choice(_JUMPS_SECONDS))
            elif kind == "drop":
                for node in self.nodes:
                    for tx_hash in node.pooled()[-4:]:
                        self.ledger.rpc.call("anvil_dropTransaction", tx_hash)
            else:
                self.ledger.node.mine(dice.randrange(1, 4))

    def _mine(self) -> None:
        while not self._stop.wait(_BLOCK_SECONDS):
            with self._still, contextlib.suppress(ChainError):
                # As fast as it may fall; but a dev node's own falls far below what is usual.
                self._base_fee_wei = max(_USUAL_BASE_FEE_WEI, self._base_fee_wei * 7 // 8)
                self.ledger.rpc.call("anvil_setNextBlockBaseFeePerGas", hex(self._base_fee_wei))
                self.ledger.node.mine()

    def _follow(self) -> None:
        while not self._stop.wait(0.05):
            # In the middle of a reorg a block can be gone before it is read.
            with self._still, contextlib.suppress(GridleaseError):
                self.world.followed.catch_up()

    @property
    def _input(self) -> IO[bytes]:
        assert self._forking.stdin is not None
        return self._forking.stdin

    @contextlib.contextmanager
    def _market(self, crash_at: str) -> Iterator["_Market"]:
        """One process of the market, which is killed at the end if it has not died before."""
        assert self._forking.stdout is not None
        self._input.write(f"{crash_at}\n".encode())
        self._input.flush()
        market = _Market(self._forking.stdout)
        try:
            yield market
        finally:
            market.kill()


class _Market:
    """The newest child of the forking process, which says when it is gone."""

    def __init__(self, said: IO[bytes]) -> None:
        self._said = said
        self._child = int(said.readline())
        self._gone = threading.Event()
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        self._said.readline()
        self._gone.set()

    def alive(self) -> bool:
        return not self._gone.is_set()

    def kill(self) -> None:
        if self.alive():
            os.kill(self._child, signal.SIGKILL)
        self._gone.wait(10)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shards.add_options(parser)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    title, command = "kills and faults of a submitting market", "python -m tests.faults.submission"
    return shards.run("faults-submission", title, command, options, _play)


def _play(shard: Shard, stop: Callable[[], bool]) -> Outcome:
    outcome, begun = Outcome(), time.monotonic()
    with running_anvil() as node, tempfile.TemporaryDirectory() as folder:
        campaign = Submission(Path(folder), LedgerWorld.deploy(node))
        try:
            for number in range(shard.first, shard.first + shard.count):
                if stop():
                    break
                cycle_begun = time.monotonic()
                campaign.cycle(number, Random(f"{shard.seed}/{number}"))
                outcome.cycle_seconds.append(time.monotonic() - cycle_begun)
                if (number + 1) % 10 == 0:
                    print(f"{time.monotonic() - begun:5.0f} s  cycle {number}", flush=True)
            campaign.settle()
            outcome.told = campaign.all_told()
        except (Broken, GridleaseError) as error:
            outcome.failure = f"cycle {shard.first + len(outcome.cycle_seconds)}: {error}"
            print(f"{outcome.failure}\n{campaign.log_file.read_text()[-20_000:]}", file=sys.stderr)
        finally:
            campaign.close()
    outcome.longest_seconds = campaign.longest_seconds
    return outcome


if __name__ == "__main__":
    raise SystemExit(main())
