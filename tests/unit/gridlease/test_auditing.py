"""What an auditor reads of the chain, from a node that takes only so many blocks at once."""

from typing import Any

import pytest

from gridlease.auditing import outcome_of
from protocol.errors import RpcRefused
from protocol.events import Auction, signature
from protocol.hashing import keccak256, to_hex
from protocol.rpc import Rpc
from tests.support.published import MATCHER, random_snapshot

_BLOCKS = 250_000


class _NarrowNode(Rpc):
    """Stands in for a node with a limit, which anvil has not: an auction every 30,000 blocks."""

    def __init__(self, most: int, refusal: str) -> None:
        super().__init__("http://127.0.0.1:1")
        self.most, self.refusal = most, refusal
        self.asked: list[tuple[int, int]] = []

    def call(self, method: str, *params: Any) -> Any:
        if method == "eth_blockNumber":
            return hex(_BLOCKS)
        first, last = (int(params[0][name], 16) for name in ("fromBlock", "toBlock"))
        if last - first >= self.most:
            raise RpcRefused(method, -32000, self.refusal)
        self.asked.append((first, last))
        return [_auction(block) for block in range(first, last + 1) if block % 30_000 == 0]


def _auction(block: int) -> dict[str, Any]:
    topic = to_hex(keccak256(signature(Auction).encode()))
    return {
        "topics": [topic, "0x" + "00" * 12 + MATCHER.address[2:].lower()],
        "data": to_hex(block.to_bytes(32, "big")),
        "blockNumber": hex(block),
    }


def test_every_block_is_read_once_whatever_range_the_node_takes() -> None:
    node = _NarrowNode(2_000, "block range is too large, up to 2000 blocks")
    outcome = outcome_of(node, random_snapshot(0), 17)
    assert outcome.roots == {block.to_bytes(32, "big") for block in range(30_000, _BLOCKS, 30_000)}
    assert node.asked[0][0] == 17
    assert node.asked[-1][1] == _BLOCKS
    assert all(before[1] + 1 == after[0] for before, after in zip(node.asked, node.asked[1:], strict=False))


def test_a_refusal_that_no_smaller_range_would_change_is_raised() -> None:
    with pytest.raises(RpcRefused, match="no archive"):
        outcome_of(_NarrowNode(0, "no archive here"), random_snapshot(0), 0)
