"""A range grows, shrinks and splits by what the node says, and a ceiling is never tried twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.ranges import RangeSize, Refusal, refusal_of
from protocol.errors import NodeUnavailable, RpcRefused


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("query exceeds max block range 1000", Refusal.CEILING),
        ("eth_getLogs is limited to a 10,000 blocks range", Refusal.CEILING),
        ("block range is too wide", Refusal.CEILING),
        ("exceed maximum block range: 5000", Refusal.CEILING),
        ("batch size is too large", Refusal.CEILING),
        ("query returned more than 10000 results", Refusal.DENSITY),
        ("Log response size exceeded", Refusal.DENSITY),
        ("query timeout exceeded: timed out", Refusal.DENSITY),
        ("execution reverted", Refusal.OTHER),
        ("header not found", Refusal.OTHER),
    ],
)
def test_the_words_of_nodes_are_two_classes(said: str, expected: Refusal) -> None:
    assert refusal_of(RpcRefused("eth_getLogs", -32005, said, None)) is expected


def test_a_gateway_that_refuses_the_size_is_a_ceiling() -> None:
    assert refusal_of(NodeUnavailable("http://node", "HTTP 413 without JSON")) is Refusal.CEILING
    assert refusal_of(NodeUnavailable("http://node", "timed out")) is Refusal.DENSITY
    assert refusal_of(ValueError("block range")) is Refusal.OTHER


def test_it_grows_while_answers_are_quick_and_shrinks_when_they_are_slow() -> None:
    size = RangeSize(64, ceiling=1024)
    size.answered(64, 0.1)
    assert size.blocks == 128
    size.answered(128, 1.0)
    assert size.blocks == 128
    size.answered(128, 3.0)
    assert size.blocks == 64
    # The last blocks of the chain are few, and quick for that.
    size.answered(3, 0.01)
    assert size.blocks == 64


def refusal(said: str) -> RpcRefused:
    return RpcRefused("eth_getLogs", -32005, said, None)


def test_density_splits_and_may_grow_again() -> None:
    size = RangeSize(100, ceiling=1024)
    assert size.refused(100, refusal("query returned more than 10000 results"))
    assert size.blocks == 50
    size.answered(50, 0.1)
    assert size.blocks == 100
    assert not size.refused(1, refusal("query returned more than 10000 results"))
    assert not size.refused(50, refusal("execution reverted"))


def test_a_ceiling_that_is_stated_is_taken_at_its_word() -> None:
    size = RangeSize(4096, ceiling=10_000)
    assert size.refused(4096, refusal("eth_getLogs is limited to a 1,000 blocks range"))
    assert (size.blocks, size.ceiling) == (1000, 1000)


@given(st.integers(1, 2000), st.booleans(), st.lists(st.floats(0, 5), max_size=60))
def test_a_ceiling_is_found_and_then_kept(limit: int, stated: bool, times: list[float]) -> None:
    size = RangeSize(64, ceiling=10_000)
    refused: list[int] = []
    for seconds in times:
        asked = size.blocks
        if asked > limit:
            refused.append(asked)
            assert size.refused(asked, refusal(f"block range is too large{f', max {limit}' if stated else ''}"))
        else:
            size.answered(asked, seconds)
        assert 1 <= size.blocks <= size.ceiling
    assert len(refused) <= (1 if stated else 11)
    assert all(size.ceiling < asked for asked in refused)
