"""Ranges come in order, fit the node, and are thrown away when the chain went another way."""

from typing import Any, cast

import pytest

from indexer.ahead import Ahead
from indexer.source import Source, VerifiedBlock
from protocol.errors import RpcRefused
from tests.support.fake_chain import make_block


def chain(count: int, salt: bytes = b"") -> list[VerifiedBlock]:
    blocks: list[VerifiedBlock] = []
    for number in range(count):
        blocks.append(make_block(number, blocks[-1].header.hash if blocks else bytes(32), [], salt))
    return blocks


class Node:
    """Serves a chain, at most `limit` blocks at once."""

    current = 0

    def __init__(self, blocks: list[VerifiedBlock], limit: int = 10_000) -> None:
        self.chain = blocks
        self.limit = limit
        self.asked: list[int] = []

    def blocks(self, first: int, last: int, parent_hash: bytes | None) -> list[VerifiedBlock]:
        self.asked.append(last - first + 1)
        if self.asked[-1] > self.limit:
            raise RpcRefused("eth_getBlockByNumber", -32000, f"batch size is too large, max {self.limit}", None)
        return self.chain[first : last + 1]


def ahead(node: Node, most: int) -> Ahead:
    return Ahead(cast(Source, cast(Any, node)), most)


def follow(reader: Ahead, newest: int) -> list[int]:
    numbers: list[int] = []
    parent: bytes | None = None
    while not numbers or numbers[-1] < newest:
        blocks = reader.take(len(numbers), newest, parent)
        reader.fetch(blocks[-1].header, newest)
        numbers += [block.header.number for block in blocks]
        parent = blocks[-1].header.hash
    reader.close()
    return numbers


def test_every_block_comes_once_and_in_order_and_ranges_grow() -> None:
    node = Node(chain(500))
    assert follow(ahead(node, 256), 499) == list(range(500))
    assert max(node.asked) > node.asked[0]
    assert max(node.asked) <= 256


def test_what_a_node_refuses_is_asked_in_smaller_ranges_and_never_so_large_again() -> None:
    node = Node(chain(300), limit=20)
    assert follow(ahead(node, 256), 299) == list(range(300))
    refused = [asked for asked in node.asked if asked > node.limit]
    assert len(refused) <= 2
    assert len(set(refused)) == len(refused)


def test_a_refusal_that_no_range_mends_is_raised() -> None:
    node = Node(chain(10), limit=0)
    with pytest.raises(RpcRefused):
        ahead(node, 4).take(0, 9, None)


def test_what_was_fetched_for_another_fork_is_not_taken() -> None:
    old, new = chain(80), chain(80, salt=b"other")
    node = Node(old)
    reader = ahead(node, 16)
    first = reader.take(0, 79, None)
    reader.fetch(first[-1].header, 79)
    node.chain = new
    again = reader.take(5, 79, new[4].header.hash)
    assert again[0].header.hash == new[5].header.hash
    reader.close()
