"""A number that no chain reaches is a lie like any other: it is refused, and nothing ends by it."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from indexer.errors import BadBlock
from indexer.headers import LIMIT, read_headers
from indexer.source import Source
from protocol.hashing import to_hex
from tests.support.fake_chain import CONTRACTS, make_block
from tests.support.node_json import block_json


def source_of(*answers: dict[str, Any]) -> Source:
    rpc: Any = SimpleNamespace(batch=lambda calls: list(answers[: len(calls)]))
    return Source(cast(Any, rpc), CONTRACTS, 64)


@pytest.mark.parametrize("number", [hex(LIMIT), "0x" + "f" * 400, "-0x1"])
@pytest.mark.parametrize("which", [0, 1])
def test_a_head_of_an_absurd_height_is_refused(number: str, which: int) -> None:
    answers = [{"number": "0x7", "hash": to_hex(bytes(32))}, {"number": "0x5", "hash": to_hex(bytes(32))}]
    assert source_of(*answers).head().number == 7
    answers[which]["number"] = number
    with pytest.raises(BadBlock, match="no chain is so long"):
        source_of(*answers).head()


def test_a_header_of_an_absurd_time_is_refused() -> None:
    block = block_json(make_block(5, bytes(32), []))
    block["timestamp"] = hex(LIMIT)
    # The node's own hash of it, so that only the time is wrong.
    with pytest.raises(BadBlock) as caught:
        read_headers(5, [block], None)
    said = str(caught.value)
    block["hash"] = "0x" + said.split("it hashes to 0x")[1][:64]
    with pytest.raises(BadBlock, match="no time"):
        read_headers(5, [block], None)
