"""Large files go in pieces: a line that breaks costs a piece, a process that stops costs nothing, bytes come whole."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from client import files as client_files
from client import uploads as client_uploads
from client.errors import FileChanged, MarketRefused
from client.sdk import Client
from protocol.hashing import cid_of, sha256
from tests.support.breaking_line import BreakingLine, lose_answer
from tests.support.served_market import ServedMarket, served_market

PIECE = 1 << 16
CONTENT = random.Random(7).randbytes(10 * PIECE + 123)
CID = cid_of(sha256(CONTENT))


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_files, "WHOLE_BYTES", PIECE)
    monkeypatch.setattr(client_uploads, "PIECE_BYTES", PIECE)
    monkeypatch.setattr(client_uploads, "FIRST_PAUSE_SECONDS", 0.01)


class Broken:
    line: BreakingLine

    def wrap(self, application: Any) -> BreakingLine:
        self.line = BreakingLine(application, concerns=lambda scope: scope["method"] in ("PATCH", "POST", "PUT"))
        return self.line


@pytest.fixture
def broken() -> Broken:
    return Broken()


@pytest.fixture
def served(tmp_path: Path, broken: Broken) -> Iterator[ServedMarket]:
    (tmp_path / "served").mkdir()
    with served_market(tmp_path / "served", broken.wrap) as made:
        broken.line.seen.clear()
        yield made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "weights.bin"
    made.write_bytes(CONTENT)
    return made


def pieces(broken: Broken) -> list[int]:
    """Where each piece that was sent began."""
    return [int(headers["upload-offset"]) for method, _, headers in broken.line.seen if method == "PATCH"]


def test_a_large_file_goes_in_pieces_and_tells_how_far_it_is(served: ServedMarket, broken: Broken, path: Path) -> None:
    heard: list[tuple[int, int]] = []
    with served.client() as client:
        assert client.files.put(path, lambda sent, total: heard.append((sent, total))) == CID
        assert client.files.read(CID) == CONTENT
        assert client.files.put(path) == CID
    assert pieces(broken) == [number * PIECE for number in range(11)]
    assert heard == [(min(number * PIECE, len(CONTENT)), len(CONTENT)) for number in range(12)]
    assert [method for method, _, _ in broken.line.seen].count("POST") == 1, "it was there the second time"


def test_a_small_file_goes_whole(served: ServedMarket, broken: Broken) -> None:
    with served.client() as client:
        client.files.put(CONTENT[:PIECE])
    assert [method for method, _, _ in broken.line.seen] == ["PUT"]


def test_a_line_that_breaks_costs_what_was_under_way(served: ServedMarket, broken: Broken, path: Path) -> None:
    with served.client() as client:
        broken.line.concerns = lambda scope: scope["method"] == "PATCH"
        broken.line.breaks_request = [1000, 1, PIECE - 1, 30_000]
        assert client.files.put(path) == CID
        assert client.files.read(CID) == CONTENT
    began = pieces(broken)
    assert began[0] == 0
    assert began == sorted(began), "nothing that arrived is sent again"
    assert 1 <= len(set(began)) <= 16


def test_an_answer_that_is_lost_after_the_last_byte_is_no_loss(
    served: ServedMarket, broken: Broken, path: Path
) -> None:
    broken.line.concerns = lambda scope: scope["method"] == "PATCH"
    whole = len(CONTENT) - 10 * PIECE

    class LastIsLost:
        """The app gets the whole last piece; its answer goes nowhere."""

        def __init__(self, application: Any) -> None:
            self.application = application
            self.lost = False

        async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
            headers = dict(scope.get("headers", []))
            if self.lost or headers.get(b"content-length") != str(whole).encode():
                await self.application(scope, receive, send)
                return
            self.lost = True
            await lose_answer(self.application, scope, receive, send)

    broken.line.app = last = LastIsLost(broken.line.app)
    with served.client() as client:
        assert client.files.put(path) == CID
        assert client.files.read(CID) == CONTENT
    assert last.lost


def test_the_next_process_goes_on_where_the_last_one_was_stopped(
    served: ServedMarket, broken: Broken, path: Path, tmp_path: Path
) -> None:
    remembered = tmp_path / "unfinished"

    def stop(sent: int, _total: int) -> None:
        if sent >= 4 * PIECE:
            raise KeyboardInterrupt

    with served.client(unfinished=remembered) as client, pytest.raises(KeyboardInterrupt):
        client.files.put(path, stop)
    broken.line.seen.clear()
    with served.client(unfinished=remembered) as client:
        client.files.put(path)
        assert client.files.read(CID) == CONTENT
    assert pieces(broken)[0] == 4 * PIECE
    assert list(remembered.iterdir()) == []


def test_an_upload_that_the_market_forgot_begins_anew(served: ServedMarket, path: Path, tmp_path: Path) -> None:
    remembered = tmp_path / "unfinished"
    remembered.mkdir()
    (remembered / CID).write_text("up_forgotten")
    with served.client(unfinished=remembered) as client:
        assert client.files.put(path) == CID
        assert client.files.read(CID) == CONTENT


def test_a_file_that_changes_on_the_way_is_never_the_file(served: ServedMarket, path: Path) -> None:
    def change(sent: int, _total: int) -> None:
        if sent == 3 * PIECE:
            path.write_bytes(CONTENT[::-1])

    with served.client() as client:
        with pytest.raises(FileChanged):
            client.files.put(path, change)
        assert client.files.stat(CID) is None


def test_a_refusal_is_told_and_not_tried_again(served: ServedMarket, path: Path) -> None:
    served.market.settings.__dict__["max_file_bytes"] = PIECE
    with Client(served.url, served.made.key) as client, pytest.raises(MarketRefused, match="over"):
        client.files.put(path)
