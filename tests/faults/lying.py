"""A follower behind a liar: each trial tells one lie, which must be caught before anything false is stored.

`python -m tests.faults.lying --lies 20000` records a long run in bench/results/lies.json, shard by shard; with
`--mode head` or `--mode receipts` it lies to a backfill by light blocks.
"""

import argparse
import json
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Any, Final, get_args

import structlog
from sqlalchemy import Engine

from bench.record import RESULTS, write
from indexer.backfill.fetch import Fetcher, Wanted
from indexer.backfill.spans import Span
from indexer.commit import read_cursor
from indexer.errors import WrongGenesis
from indexer.follower import PASSING, Follower
from indexer.settings import Backfill, IndexerSettings
from indexer.source import Contracts, Source
from indexer.store import open_writer
from indexer.tables import TABLES
from protocol.deployment import Deployment
from protocol.errors import WrongChain
from protocol.hashing import sha256
from protocol.rpc import Rpc
from tests.faults.lying_node import LyingNode
from tests.support.anvil import running_anvil
from tests.support.ledger_world import LedgerWorld

_MOST_STEPS: Final = 60
#: trials begin at most so many blocks below the head
_NEAR: Final = 16


class WrongMirror(AssertionError):
    """Something false was stored, or something true refused."""


def digest(engine: Engine, without: tuple[str, ...] = ()) -> bytes:
    """Of all rows that follow from the chain alone."""
    with engine.connect() as connection:
        rows = {
            # As SQLite has them: trials are many, and types would cost more than the rest.
            name: sorted(map(repr, connection.exec_driver_sql(f"SELECT * FROM {table.name}")))
            for name, table in TABLES.items()
            if name not in ("audits", "cursor", *without)
        }
    return sha256(repr(rows).encode())


class FetchesHere:
    """Starts no processes."""

    def warm(self) -> None:
        """Nothing to start."""

    def start(self, rpc_url: str, wanted: Wanted) -> "FetchHere":
        return FetchHere(rpc_url, wanted)

    def close(self) -> None:
        """Nothing was started."""


class FetchHere:
    """What the fetching process does, in this one."""

    def __init__(self, rpc_url: str, wanted: Wanted) -> None:
        self._rpc = Rpc(rpc_url)
        self._spans = Fetcher(self._rpc, wanted).spans()

    def next(self) -> Span | None:
        return next(self._spans, None)

    def close(self) -> None:
        self._rpc.close()


class Trials:
    """One chain, its true mirror at every height, and a liar in front of it."""

    def __init__(self, folder: Path, deployment: Deployment, rpc: Rpc, other: Rpc, mode: Backfill) -> None:
        self._mode: Backfill = mode
        # What a light block does not have yet cannot be false.
        self._compared_without = () if mode == "whole" else ("blocks", "bodies", "transactions")
        self._folder, self._deployment = folder, deployment
        self._contracts = Contracts.of(deployment)
        self.node = LyingNode(rpc, other)
        self._rpc = Rpc(self.node.url)
        self._head = rpc.block_number()
        #: of all engines: each trial has one of its own
        self._statements: dict[Any, Any] = {}
        #: height → digest of the true mirror; a copy of it lies beside
        self._true: dict[int, bytes] = {}
        self._remember()

    def close(self) -> None:
        self._rpc.close()
        self.node.close()

    def _remember(self) -> None:
        """Follows the honest node block by block and keeps each state."""
        engine = open_writer(f"sqlite:///{self._folder / 'true.db'}")
        follower = self._follower(engine, 1, "whole")
        follower.prepare()
        while follower.step():
            number = follower.cursor().number or 0
            self._true[number] = digest(engine, self._compared_without)
            self._whole = digest(engine)
            with (
                closing(sqlite3.connect(self._folder / "true.db")) as live,
                closing(sqlite3.connect(self._at(number))) as copy,
            ):
                live.backup(copy)
        follower.close()

    def _open(self, path: Path) -> Engine:
        engine = open_writer(f"sqlite:///{path}")
        engine.update_execution_options(compiled_cache=self._statements)
        return engine

    def _at(self, number: int) -> Path:
        return self._folder / f"{number}.db"

    def _follower(self, engine: Engine, batch_blocks: int, mode: Backfill) -> Follower:
        settings = IndexerSettings(batch_blocks=batch_blocks, backfill=mode)
        source = Source(self._rpc, self._contracts, 64)
        return Follower(settings, self._deployment, source, engine, fetches=FetchesHere(), far_blocks=1)

    def run(self, seed: str) -> tuple[str, str]:
        """The lie that was told, "" if none came about, and how it ended. Raises `WrongMirror`."""
        dice = Random(seed)
        start = dice.choice([number for number in self._true if self._head - _NEAR <= number < self._head])
        path = self._folder / "trial.db"
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        shutil.copy(self._at(start), path)
        engine = self._open(path)
        follower = self._follower(engine, dice.choice([1, 2, 3, 5, 8, 64]), self._mode)
        try:
            self.node.plan(dice)
            ended = self._follow(follower)
            told = self.node.told
            if self._is_misplaced(engine):
                # Only of a light block, and never as a fact: the whole block showed it.
                return told, "halted: misplaced"
            self._check(engine, seed, told, ended)
            self.node.be_honest()
            follower.catch_up()
            if self._is_misplaced(engine):
                return told, "halted: misplaced"
            if follower.cursor().number != self._head:
                raise WrongMirror(f"{seed}: {told}: the truth was not followed to the head afterwards")
            self._check(engine, seed, told, "the truth")
            if self._compared_without and digest(engine) != self._whole:
                raise WrongMirror(f"{seed}: {told}: the blocks did not all become whole")
        finally:
            follower.close()
        return told, ended

    def run_honest(self, seed: str) -> None:
        """The same without a lie: nothing may be refused."""
        dice = Random(seed)
        path = self._folder / "honest.db"
        path.unlink(missing_ok=True)
        shutil.copy(self._at(dice.choice(list(self._true))), path)
        engine = self._open(path)
        follower = self._follower(engine, dice.choice([1, 2, 3, 5, 8, 64]), self._mode)
        try:
            self.node.be_honest()
            ended = self._follow(follower)
            self._check(engine, seed, "no lie", ended)
            if ended != "at rest" or follower.cursor().number != self._head:
                raise WrongMirror(f"{seed}: a false alarm: {ended}")
        finally:
            follower.close()

    def _follow(self, follower: Follower) -> str:
        try:
            for _ in range(_MOST_STEPS):
                if not follower.step():
                    return "at rest"
        except (*PASSING, WrongChain, WrongGenesis) as error:
            # Whatever else comes out of a step would end the indexer.
            return f"refused: {getattr(error, 'code', type(error).__name__)}"
        raise WrongMirror("it never came to rest")

    def _is_misplaced(self, engine: Engine) -> bool:
        """Whether the mirror halted because a node was wrong about where proved logs stand."""
        with engine.connect() as connection:
            halted = read_cursor(connection).halted
        return self._mode != "whole" and halted is not None and "other transactions or places" in halted

    def _check(self, engine: Engine, seed: str, told: str, ended: str) -> None:
        with engine.connect() as connection:
            cursor = read_cursor(connection)
        if cursor.halted is not None or cursor.reorg_epoch != 0:
            raise WrongMirror(f"{seed}: {told} ({ended}): a false reorg or halt: {cursor}")
        if digest(engine, self._compared_without) != self._true[cursor.number or 0]:
            raise WrongMirror(f"{seed}: {told} ({ended}): the mirror at block {cursor.number} is not the chain's")


@contextmanager
def trials(mode: Backfill = "whole") -> Iterator[Trials]:
    """A chain with a little of everything, and another one for mixed forks."""
    with running_anvil() as node, running_anvil() as other, tempfile.TemporaryDirectory() as folder:
        world, elsewhere = LedgerWorld.deploy(node), LedgerWorld.deploy(other)
        world.story()
        world.deposit(5)
        elsewhere.deposit(7)
        elsewhere.story()
        made = Trials(Path(folder), world.deployment, node.rpc, other.rpc, mode)
        try:
            yield made
        finally:
            made.close()


def campaign(made: Trials, seed: str, lies: int) -> Counter[tuple[str, str]]:
    """Tells that many lies; (lie, end) → how often. One honest run for every ten lies."""
    counts: Counter[tuple[str, str]] = Counter()
    number = 0
    while counts.total() < lies:
        told, ended = made.run(f"{seed}/{number}")
        if told:
            counts[told, ended] += 1
        if number % 10 == 0:
            made.run_honest(f"{seed}/{number}/honest")
        number += 1
    return counts


def table(counts: Counter[tuple[str, str]]) -> str:
    width = max(len(told) for told, _ in counts)
    return "\n".join(f"{told:{width}}  {ended:26} {count:>6}" for (told, ended), count in sorted(counts.items()))


class Record:
    """bench/results/lies.json: so long a campaign goes on where it was ended, shard by shard."""

    def __init__(self, mode: Backfill, seed: str, lies: int, shards: int) -> None:
        self._name = "lies" if mode == "whole" else f"lies_{mode}"
        self._command = f"python -m tests.faults.lying --lies {lies} --seed {seed} --shards {shards} --mode {mode}"
        self._lies = lies
        self.shards = 0
        self.seconds = 0
        self.counts: Counter[tuple[str, str]] = Counter()
        path = RESULTS / f"{self._name}.json"
        (row,) = json.loads(path.read_text()) if path.exists() else [{}]
        if row.get("command") == self._command:
            self.shards, self.seconds = row["shards"], row["duration_s"]
            self.counts.update({(told, ended): count for told, ended, count in row["counts"]})

    def add(self, counts: Counter[tuple[str, str]], seconds: float) -> Path:
        self.shards += 1
        self.seconds += round(seconds)
        self.counts += counts
        total = self.counts.total()
        row: dict[str, Any] = {
            "name": "lies told, none of them stored",
            "value": total,
            "unit": "lies",
            "goal": self._lies,
            "holds": total >= self._lies,
            "refused": sum(count for (_, ended), count in self.counts.items() if ended.startswith("refused")),
            "honest_runs_at_least": total // 10,
            "shards": self.shards,
            "duration_s": self.seconds,
            "counts": [[told, ended, count] for (told, ended), count in sorted(self.counts.items())],
        }
        return write(self._name, [row], self._command)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lies", type=int, default=20_000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--shards", type=int, default=20, help="each on chains of its own, recorded when it is done")
    parser.add_argument("--mode", choices=get_args(Backfill), default="whole")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    record = Record(options.mode, options.seed, options.lies, options.shards)
    while record.shards < options.shards:
        begun = time.monotonic()
        with trials(options.mode) as made:
            try:
                counts = campaign(made, f"{options.seed}/{record.shards}", -(-options.lies // options.shards))
            except WrongMirror as error:
                print(error, file=sys.stderr)
                return 1
        path = record.add(counts, time.monotonic() - begun)
        print(f"shard {record.shards} of {options.shards}: {record.counts.total()} lies, {path}", flush=True)
    print(table(record.counts))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
