"""An agent's large files go in pieces, and an agent that stores a file again goes on where the line broke."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from protocol.hashing import cid_of, sha256
from provider import market as provider_market
from provider import uploads as provider_uploads
from provider.errors import MarketRefused, MarketUnavailable
from provider.market import HttpMarket
from tests.support.breaking_line import BreakingLine, lose_answer
from tests.support.served_market import PROVIDER, ServedMarket, served_market

PIECE = 1 << 16
CONTENT = random.Random(11).randbytes(6 * PIECE + 5)
CID = cid_of(sha256(CONTENT))


class Broken:
    line: BreakingLine

    def wrap(self, application: Any) -> BreakingLine:
        self.line = BreakingLine(application, concerns=lambda scope: scope["method"] in ("PATCH", "PUT"))
        return self.line

    @property
    def pieces(self) -> list[int]:
        """Where each piece that was sent began."""
        return [int(headers["upload-offset"]) for method, _, headers in self.line.seen if method == "PATCH"]


@pytest.fixture
def broken() -> Broken:
    return Broken()


@pytest.fixture
def served(tmp_path: Path, broken: Broken) -> Iterator[ServedMarket]:
    with served_market(tmp_path, broken.wrap) as made:
        yield made


@pytest.fixture
def agent(served: ServedMarket, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpMarket]:
    """The provider's side of the market."""
    monkeypatch.setattr(provider_market, "WHOLE_BYTES", PIECE)
    monkeypatch.setattr(provider_uploads, "PIECE_BYTES", PIECE)
    made = HttpMarket(served.url, PROVIDER)
    yield made
    made.close()


def test_a_large_file_goes_in_pieces_and_a_small_one_whole(agent: HttpMarket, broken: Broken) -> None:
    assert agent.store(CONTENT) == CID
    assert broken.pieces == [number * PIECE for number in range(7)]
    assert agent.fetch(CID) == CONTENT
    broken.line.seen.clear()
    agent.store(CONTENT[:PIECE])
    assert [method for method, _, _ in broken.line.seen] == ["PUT"]


def test_each_try_goes_on_where_the_line_broke(agent: HttpMarket, broken: Broken) -> None:
    broken.line.breaks_request = [1000, 20, PIECE - 1]
    tries = 1
    while True:
        try:
            assert agent.store(CONTENT) == CID
            break
        except MarketUnavailable:
            tries += 1
            assert tries < 20, "an upload that does not go on"
    assert broken.pieces == sorted(broken.pieces), "nothing that arrived is sent again"
    assert agent.fetch(CID) == CONTENT


def test_an_answer_that_is_lost_after_the_last_byte_is_no_loss(agent: HttpMarket, broken: Broken) -> None:
    application = broken.line.app

    async def last_is_lost(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if dict(scope["headers"]).get(b"content-length") == b"5":
            broken.line.app = application
            await lose_answer(application, scope, receive, send)
        else:
            await application(scope, receive, send)

    broken.line.app = last_is_lost
    with pytest.raises(MarketUnavailable):
        agent.store(CONTENT)
    sent = len(broken.pieces)
    assert agent.store(CONTENT) == CID
    assert len(broken.pieces) == sent, "it was there"


def test_a_file_that_the_market_does_not_take_is_refused(served: ServedMarket, agent: HttpMarket) -> None:
    served.market.settings.__dict__["max_file_bytes"] = PIECE
    with pytest.raises(MarketRefused, match="over"):
        agent.store(CONTENT)
