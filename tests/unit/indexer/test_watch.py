"""Metrics say where the mirror is, and readiness goes red on lag, silence and a halt."""

from collections.abc import Iterator

import httpx
import pytest

from indexer.commit import CursorRow
from indexer.source import NodeHead
from indexer.watch import Watch, WatchServer
from protocol.errors import NodeUnavailable
from protocol.events import LedgerHead


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def cursor(number: int, halted: str | None = None) -> CursorRow:
    return CursorRow(
        number=number,
        hash=bytes(32),
        proved_number=number - 1,
        finalized_number=3,
        reorg_epoch=2,
        halted=halted,
        head=LedgerHead(),
        event_count=7,
    )


def test_it_is_ready_only_while_it_is_near_the_node_and_writes() -> None:
    clock = Clock()
    watch = Watch(clock)
    assert watch.faults() == ["no node has answered yet"]
    watch.looked(NodeHead(50, bytes(32), 0), 0)
    watch.moved(cursor(20))
    assert watch.faults() == ["30 blocks behind the node"]
    watch.moved(cursor(45))
    assert watch.faults() == []
    clock.now += 31
    assert watch.faults() == ["no node has answered for 31 s"]
    watch.looked(NodeHead(50, bytes(32), 0), 0)
    watch.moved(cursor(50, halted="a reorg below finality"))
    assert watch.faults() == ["halted: a reorg below finality"]


@pytest.fixture
def served() -> Iterator[tuple[Watch, str]]:
    watch = Watch()
    server = WatchServer(watch, "127.0.0.1", 0)
    server.start()
    yield watch, f"http://127.0.0.1:{server.port}"
    server.close()


def test_the_endpoints_say_it(served: tuple[Watch, str]) -> None:
    watch, url = served
    assert httpx.get(f"{url}/livez").status_code == 200
    red = httpx.get(f"{url}/readyz")
    assert (red.status_code, red.json()["ready"]) == (503, False)
    watch.looked(NodeHead(50, bytes(32), 0), 1)
    watch.moved(cursor(49))
    watch.undone(3)
    watch.failed(NodeUnavailable("http://node", "timed out"))
    assert httpx.get(f"{url}/readyz").json() == {"ready": True, "faults": []}
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    for line in (
        "gridlease_indexer_block 49.0",
        "gridlease_indexer_node_block 50.0",
        "gridlease_indexer_proved_block 48.0",
        "gridlease_indexer_events 7.0",
        "gridlease_indexer_source 1.0",
        "gridlease_indexer_blocks_undone_total 3.0",
        'gridlease_indexer_failures_total{code="node_unavailable"} 1.0',
        "gridlease_indexer_halted 0.0",
    ):
        assert line in lines
    assert httpx.get(f"{url}/nothing").status_code == 404
