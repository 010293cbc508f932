"""A node on another fork than what is final is no reason to give a mirror up, as long as another node knows better."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from random import Random

import pytest

from indexer.errors import BadBlock
from indexer.follower import Follower
from indexer.pool import Pool
from indexer.source import Contracts, NodeHead, Source
from protocol.hashing import keccak256
from protocol.rpc import Rpc
from tests.faults.faulty_node import FaultyNode
from tests.support.databases import SQLITE
from tests.support.followed import Followed

pytestmark = [pytest.mark.node, pytest.mark.parametrize("database", [SQLITE])]


class LeftBehind(Source):
    """It took another way long ago: no block of its is one of ours."""

    def head(self) -> NodeHead:
        found = super().head()
        return replace(found, hash=keccak256(found.hash))

    def hashes_at(self, numbers: Sequence[int]) -> list[bytes | None]:
        return [found and keccak256(found) for found in super().hashes_at(numbers)]


def _follower(followed: Followed, *kinds: type[Source]) -> Follower:
    contracts = Contracts.of(followed.deployment)
    pool = Pool([kind(followed.rpc, contracts, followed.settings.finality_blocks) for kind in kinds])
    return Follower(followed.settings, followed.deployment, pool, followed.engine)


def test_it_is_left_for_one_that_has_our_blocks(followed: Followed) -> None:
    follower = _follower(followed, LeftBehind, Source)
    followed.rpc.call("anvil_mine", "0x3")
    after = follower.catch_up()
    assert after.halted is None
    assert after.number == followed.rpc.block_number()
    assert followed.verify().holds


def test_where_all_say_the_same_the_mirror_halts(followed: Followed) -> None:
    follower = _follower(followed, LeftBehind, LeftBehind)
    for _ in range(2):
        follower.step()
    assert follower.cursor().halted is not None


def test_hashes_that_a_node_only_says_are_no_fork(followed: Followed) -> None:
    with closing(FaultyNode(followed.rpc)) as node, Rpc(node.url) as rpc:
        source = Source(rpc, Contracts.of(followed.deployment), followed.settings.finality_blocks)
        follower = Follower(followed.settings, followed.deployment, source, followed.engine)
        follower.step()
        node.begin(Random(1), share=1.0, faults=("forked",))
        with pytest.raises(BadBlock, match="hashes to"):
            follower.step()
        assert follower.cursor().halted is None
        node.be_well()
        follower.catch_up()
    assert followed.verify().holds
