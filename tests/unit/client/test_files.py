"""Files are what their names say, in both directions."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from client import files as client_files
from client.errors import FileChanged, FileMismatch, NotFound
from client.sdk import Client
from protocol.hashing import cid_of, sha256
from tests.support.market_server import MarketServer

BYTES = bytes(range(256)) * 9000


class TestPut:
    def test_a_file_is_sent_once_and_named_by_its_hash(
        self, client: Client, market: MarketServer, tmp_path: Path
    ) -> None:
        path = tmp_path / "data.bin"
        path.write_bytes(BYTES)
        assert client.files.put(path) == client.files.put(BYTES) == cid_of(sha256(BYTES))
        assert market.state.files == {cid_of(sha256(BYTES)): BYTES}
        assert len(market.state.requests("PUT", "/v1/files/")) == 1

    def test_an_empty_file_is_a_file(self, client: Client, market: MarketServer, tmp_path: Path) -> None:
        path = tmp_path / "empty"
        path.touch()
        assert market.state.files.get(client.files.put(path)) == b""

    def test_a_broken_connection_is_tried_again_from_the_first_byte(
        self, client: Client, market: MarketServer, tmp_path: Path
    ) -> None:
        path = tmp_path / "data.bin"
        path.write_bytes(BYTES)
        market.state.cut["PUT", "/v1/files/"] = 2
        assert market.state.files[client.files.put(path)] == BYTES

    def test_a_file_that_changes_while_it_is_sent_is_never_complete(
        self, client: Client, market: MarketServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "data.bin"
        path.write_bytes(BYTES)
        checked = client_files._checked

        def changed(target: Path, cid: str, size: int) -> Iterator[bytes]:
            target.write_bytes(BYTES[::-1])
            return checked(target, cid, size)

        monkeypatch.setattr(client_files, "_checked", changed)
        with pytest.raises(FileChanged):
            client.files.put(path)
        assert market.state.files == {}


class TestGet:
    def test_bytes_that_do_not_hash_to_the_name_are_refused_and_leave_nothing(
        self, client: Client, market: MarketServer, tmp_path: Path
    ) -> None:
        cid = cid_of(sha256(BYTES))
        market.state.files[cid] = BYTES[:-1] + b"?"
        with pytest.raises(FileMismatch, match=cid):
            client.files.get(cid, tmp_path / "out" / "data.bin")
        assert list((tmp_path / "out").iterdir()) == []

    def test_an_endless_file_is_given_up_at_its_size(
        self, client: Client, market: MarketServer, tmp_path: Path
    ) -> None:
        cid = cid_of(sha256(BYTES))
        market.state.files[cid] = BYTES * 3
        with pytest.raises(FileMismatch, match="more than"):
            client.files.get(cid, tmp_path / "data.bin", size=len(BYTES))

    def test_a_right_file_replaces_an_old_one_in_one_step(
        self, client: Client, market: MarketServer, tmp_path: Path
    ) -> None:
        market.state.files[cid_of(sha256(BYTES))] = BYTES
        target = tmp_path / "data.bin"
        target.write_bytes(b"old")
        assert client.files.get(cid_of(sha256(BYTES)), target).read_bytes() == BYTES
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []

    def test_a_file_that_nobody_has_is_not_found(self, client: Client, tmp_path: Path) -> None:
        with pytest.raises(NotFound):
            client.files.get(cid_of(sha256(b"unknown")), tmp_path / "x")
        assert client.files.stat(cid_of(sha256(b"unknown"))) is None
