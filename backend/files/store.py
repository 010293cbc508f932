"""The content-addressed folder: a file's name is its hash, checked before it is there, complete or absent.

What is on its way lies in `drafts` until it is whole. A full disk refuses what comes and keeps what is there.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO, Final

from anyio import to_thread

from backend.errors import BadRequest, NotFound, OffsetMismatch, StorageFull, TooLarge, UploadBusy
from protocol.hashing import cid_of, sha256_of_cid

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class FileStore:
    """Files below one folder, two levels deep."""

    def __init__(self, folder: Path, max_bytes: int, *, reserve_bytes: int = 0) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._reserve = reserve_bytes

    def path(self, cid: str) -> Path:
        """Where the file is or would be; raises `BadCid`, so no other path can be named."""
        digest = sha256_of_cid(cid).hex()
        return self.folder / digest[:2] / digest

    def size(self, cid: str) -> int | None:
        """Bytes, or None if it is not there."""
        try:
            return self.path(cid).stat().st_size
        except FileNotFoundError:
            return None

    def read(self, cid: str) -> bytes:
        """The whole file; raises `NotFound`."""
        try:
            return self.path(cid).read_bytes()
        except FileNotFoundError:
            raise NotFound(f"no file {cid}", remedy="upload it with PUT /v1/files/{cid}") from None

    def put(self, content: bytes) -> str:
        """Stores bytes of our own, such as a manifest; returns the CID."""
        cid = cid_of(hashlib.sha256(content).digest())
        if self.size(cid) is None:
            draft = self._new_draft()
            try:
                draft.write_bytes(content)
                self.keep(draft, cid)
            finally:
                draft.unlink(missing_ok=True)
        return cid

    async def receive(self, cid: str, body: AsyncIterator[bytes]) -> Path:
        """A draft of a stream that hashes to its name; `keep` or remove it.

        Raises `BadRequest`, `TooLarge`, `StorageFull`, and then nothing of it is left.
        """
        self.path(cid)
        draft = self._new_draft()
        try:
            with draft.open("r+b", buffering=0) as file:
                await _write(file, body, self.max_bytes)
            await to_thread.run_sync(_require_hash, draft, cid)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        return draft

    def keep(self, draft: Path, cid: str) -> None:
        """The draft, whose hash was checked, is the file from now on, also after a power cut."""
        target = self.path(cid)
        target.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(draft, target)

    def require_room(self, size: int) -> None:
        """Raises `StorageFull` if so many bytes would eat into the reserve."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self.folder).free - size < self._reserve:
            raise StorageFull("the market's disk is full")

    def begin(self, upload: str) -> None:
        """An empty draft for an upload in pieces."""
        self._upload(upload).touch()

    def received(self, upload: str) -> int:
        """Bytes of the upload that are here; raises `NotFound`."""
        try:
            return self._upload(upload).stat().st_size
        except FileNotFoundError:
            raise NotFound(f"no upload {upload[:40]}", remedy="begin it anew") from None

    async def append(self, upload: str, offset: int, size: int, body: AsyncIterator[bytes]) -> int:
        """Adds a piece that begins at `offset`; where it stands then. What came before a fault is kept.

        Raises `NotFound`, `OffsetMismatch`, `UploadBusy`, `TooLarge`, `StorageFull`.
        """
        self.received(upload)
        with self._upload(upload).open("r+b", buffering=0) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UploadBusy("another request writes to this upload") from None
            found = file.seek(0, os.SEEK_END)
            if found != offset:
                raise OffsetMismatch(f"the upload stands at {found}, not at {offset}", offset=found)
            return await _write(file, body, size)

    async def whole(self, upload: str, cid: str) -> Path:
        """The finished draft, its hash checked; raises `BadRequest`, and then the upload is gone."""
        draft = self._upload(upload)
        try:
            await to_thread.run_sync(_require_hash, draft, cid)
        except BadRequest:
            draft.unlink(missing_ok=True)
            raise
        return draft

    def drop(self, upload: str) -> None:
        self._upload(upload).unlink(missing_ok=True)

    def _upload(self, upload: str) -> Path:
        return self._drafts / upload

    @property
    def _drafts(self) -> Path:
        folder = self.folder / "drafts"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _new_draft(self) -> Path:
        descriptor, name = tempfile.mkstemp(dir=self._drafts, prefix=".draft-")
        os.close(descriptor)
        return Path(name)


async def _write(file: BinaryIO, body: AsyncIterator[bytes], most: int) -> int:
    """Writes at the file's position, up to `most` bytes in all; where the file ends then."""
    position = file.tell()
    async for chunk in body:
        if position + len(chunk) > most:
            raise TooLarge(f"more than {most} bytes came", remedy="send as many as were announced, or split the file")
        rest = memoryview(chunk)
        while rest:
            try:
                written = file.write(rest)
            except OSError as error:
                if error.errno in _NO_ROOM:
                    raise StorageFull("the market's disk is full") from error
                raise
            position += written
            rest = rest[written:]
    return position


def _require_hash(draft: Path, cid: str) -> None:
    with draft.open("rb") as file:
        found = cid_of(hashlib.file_digest(file, "sha256").digest())
    if found != cid:
        raise BadRequest(f"the bytes hash to {found}, not to {cid}", remedy="send the file that the CID names")
