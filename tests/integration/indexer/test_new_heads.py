"""New blocks are announced by the node, and looked for where it announces none."""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from indexer.follower import Follower
from indexer.newheads import NewHeads
from indexer.pool import Pool
from indexer.settings import websocket_url
from indexer.source import Contracts, Source
from protocol.rpc import Rpc
from tests.support.anvil import free_port, running_anvil
from tests.support.databases import Database
from tests.support.followed import Followed
from tests.support.ledger_world import LedgerWorld
from tests.support.waiting import wait_until

pytestmark = pytest.mark.node


@contextmanager
def running(follower: Follower) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=follower.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)
        assert not thread.is_alive()


def test_a_block_wakes_whoever_waits_and_a_restarted_node_is_subscribed_again() -> None:
    with running_anvil() as node:
        heads = NewHeads(websocket_url(node.url))
        heads.start()
        wait_until(lambda: heads.subscribed)
        heads.wait(0)
        assert not heads.wait(0.1)
        node.mine()
        assert heads.wait(5)
        node.stop()
        wait_until(lambda: not heads.subscribed)
        node.start()
        wait_until(lambda: heads.subscribed)
        heads.close()
        assert not heads.subscribed


def test_a_node_without_subscriptions_is_looked_at_instead() -> None:
    heads = NewHeads(f"ws://127.0.0.1:{free_port()}")
    heads.start()
    time.sleep(0.2)
    assert not heads.subscribed
    heads.close()


class Counting(Rpc):
    """Counts the calls."""

    calls = 0

    def batch(self, calls: Iterable[tuple[str, Sequence[Any]]]) -> list[Any]:
        asked = list(calls)
        self.calls += len(asked)
        return super().batch(asked)


class _LateNews(threading.Event):
    """News comes just when the time is up."""

    def wait(self, timeout: float | None = None) -> bool:
        heard = super().wait(0)
        self.set()
        return heard


def test_news_that_comes_when_a_wait_ends_is_for_the_next_one() -> None:
    heads = NewHeads("ws://127.0.0.1:1")
    heads._news = _LateNews()
    assert not heads.wait(0)
    assert heads.wait(0)


def test_an_idle_follower_asks_nothing_and_still_sees_a_block_at_once(tmp_path: Path, database: Database) -> None:
    with running_anvil() as node:
        world = LedgerWorld.deploy(node)
        followed = Followed(tmp_path, world.deployment, world.rpc, database, idle_seconds=30)
        rpc = Counting(node.url)
        source = Source(rpc, Contracts.of(world.deployment), followed.settings.finality_blocks)
        follower = Follower(followed.settings, world.deployment, source, followed.engine)
        with running(follower):
            wait_until(lambda: followed.follower.cursor().proved_number == world.rpc.block_number())
            time.sleep(0.5)
            before = rpc.calls
            time.sleep(1)
            assert rpc.calls == before
            begun = time.monotonic()
            node.mine()
            number = world.rpc.block_number()
            wait_until(lambda: followed.follower.cursor().number == number)
            assert time.monotonic() - begun < 5
        assert followed.verify().holds
        followed.close()


def test_another_node_takes_over_when_one_goes_down(tmp_path: Path, database: Database) -> None:
    with running_anvil() as node:
        world = LedgerWorld.deploy(node)
        followed = Followed(tmp_path, world.deployment, world.rpc, database)
        contracts = Contracts.of(world.deployment)
        dead = Rpc(f"http://127.0.0.1:{free_port()}")
        pool = Pool([Source(rpc, contracts, followed.settings.finality_blocks) for rpc in (dead, world.rpc)])
        with running(Follower(followed.settings, world.deployment, pool, followed.engine)):
            wait_until(lambda: followed.follower.cursor().number == world.rpc.block_number())
        assert pool.current == 1
        assert followed.verify().holds
        followed.close()
