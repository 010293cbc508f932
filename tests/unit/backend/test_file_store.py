"""The file store holds whole files under their own hash, or nothing."""

import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest

from backend.errors import BadRequest, NotFound, StorageFull, TooLarge
from backend.files.store import FileStore
from protocol.errors import BadCid
from protocol.hashing import cid_of, sha256


async def _stream(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def _write(store: FileStore, cid: str, *pieces: bytes) -> int:
    async def run() -> int:
        draft = await store.receive(cid, _stream(*pieces))
        store.keep(draft, cid)
        return store.path(cid).stat().st_size

    return anyio.run(run)


def test_a_file_comes_back_as_it_went_in(tmp_path: Path) -> None:
    store = FileStore(tmp_path, 1 << 20)
    cid = cid_of(sha256(b"hello world"))
    assert store.size(cid) is None
    assert _write(store, cid, b"hello ", b"world") == 11
    assert store.read(cid) == b"hello world"
    assert store.put(b"hello world") == cid


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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], capture_output=True, check=False
    )
    if made.returncode != 0:
        pytest.skip(f"only root may mount a small disk: {made.stderr.decode().strip()}")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def test_a_disk_that_fills_up_in_the_middle_refuses_what_comes_and_keeps_what_is_there(small_disk: Path) -> None:
    store = FileStore(small_disk, 1 << 30)
    kept = store.put(b"kept")
    large = [bytes([n]) * (1 << 18) for n in range(8)]
    with pytest.raises(StorageFull):
        _write(store, cid_of(sha256(b"".join(large))), *large)
    assert store.read(kept) == b"kept"
    assert len([path for path in small_disk.rglob("*") if path.is_file()]) == 1

    async def upload() -> int:
        store.begin("up_1")
        with pytest.raises(StorageFull):
            await store.append("up_1", 0, 1 << 21, _stream(*large))
        return store.received("up_1")

    reached = anyio.run(upload)
    content = b"".join(large)
    assert 1 << 18 <= reached < 1 << 20
    assert (small_disk / "drafts" / "up_1").read_bytes() == content[:reached]
