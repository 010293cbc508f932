"""A node that fails, lies or stays behind is left for another, and comes back when it has rested."""

from typing import Any, cast

import pytest

from indexer.errors import BadBlock
from indexer.pool import Pool
from indexer.source import NodeHead, Source
from protocol.errors import NodeUnavailable


class Node:
    """A node of which only the head matters."""

    def __init__(self, head: int) -> None:
        self.number = head
        self.down = False

    def head(self) -> NodeHead:
        if self.down:
            raise NodeUnavailable("http://node", "connection refused")
        return NodeHead(self.number, bytes(32), 0)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def pool(*heads: int) -> tuple[Pool, list[Node], Clock]:
    nodes, clock = [Node(head) for head in heads], Clock()
    return Pool(cast(list[Source], cast(Any, nodes)), clock), nodes, clock


def test_another_takes_over_when_one_fails_and_nobody_does_when_all_rest() -> None:
    both, _, clock = pool(5, 5)
    down = NodeUnavailable("http://node", "connection refused")
    assert both.failed(down)
    assert both.current == 1
    assert not both.failed(down)
    assert both.current == 1
    clock.now += 2
    assert both.failed(down)
    assert both.current == 0
    assert [health.failures for health in both.health] == [1, 2]


def test_the_longer_it_fails_the_longer_it_rests_but_never_for_ever() -> None:
    both, _, clock = pool(5, 5)
    rests = []
    for _ in range(12):
        both._current = 0
        both.failed(NodeUnavailable("http://node", "timed out"))
        rests.append(both.health[0].rests_until - clock.now)
    assert rests == sorted(rests)
    assert rests[0] == 1
    assert rests[-1] == 60


def test_one_that_lied_rests_long() -> None:
    both, _, clock = pool(5, 5)
    assert both.failed(BadBlock(4, "receipts root", "not those of the header"))
    assert both.health[0].lies == 1
    assert both.health[0].rests_until - clock.now >= 300


def test_one_that_is_behind_is_left_for_one_that_is_not() -> None:
    three, nodes, _ = pool(5, 6, 9)
    assert three.behind(8)
    assert three.current == 2
    nodes[2].number = 9
    assert not three.behind(10)
    assert three.current == 2
    nodes[0].down = True
    nodes[1].number = 12
    assert three.behind(10)
    assert three.current == 1
    assert three.health[0].last_error


def test_a_pool_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="node"):
        Pool([])
