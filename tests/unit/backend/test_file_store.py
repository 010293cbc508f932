"""The file store holds whole files under their own hash, or nothing."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from backend.errors import BadRequest, NotFound, TooLarge
from backend.files.store import FileStore
from protocol.errors import BadCid
from protocol.hashing import cid_of, sha256


async def _stream(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def _write(store: FileStore, cid: str, *pieces: bytes) -> int:
    async def run() -> int:
        return await store.write(cid, _stream(*pieces))

    return anyio.run(run)


def test_a_file_comes_back_as_it_went_in(tmp_path: Path) -> None:
    store = FileStore(tmp_path, 1 << 20)
    cid = cid_of(sha256(b"hello world"))
    assert store.size(cid) is None
    assert _write(store, cid, b"hello ", b"world") == 11
    assert store.read(cid) == b"hello world"
    assert b"".join(store.chunks(cid)) == b"hello world"


def test_bytes_that_do_not_hash_to_their_name_leave_nothing_behind(tmp_path: Path) -> None:
    store = FileStore(tmp_path, 1 << 20)
    with pytest.raises(BadRequest, match="hash to"):
        _write(store, cid_of(sha256(b"expected")), b"something else")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_file_over_the_limit_is_cut_off_and_leaves_nothing_behind(tmp_path: Path) -> None:
    store = FileStore(tmp_path, 10)
    with pytest.raises(TooLarge):
        _write(store, cid_of(sha256(b"x" * 20)), b"x" * 8, b"x" * 12)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "bafkrei", "Qm" + "a" * 44])
def test_only_a_hash_names_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadCid):
        FileStore(tmp_path, 10).path(name)


def test_a_missing_file_says_how_to_bring_it(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as refusal:
        FileStore(tmp_path, 10).read(cid_of(sha256(b"absent")))
    assert "PUT" in refusal.value.said_remedy
