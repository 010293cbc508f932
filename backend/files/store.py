"""The content-addressed folder: a file's name is its hash, checked while it streams in, complete or absent."""

import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from backend.errors import BadRequest, NotFound, TooLarge
from protocol.hashing import cid_of, sha256_of_cid

CHUNK_BYTES = 1024 * 1024


class FileStore:
    """Files below one folder, two levels deep."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes

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

    def chunks(self, cid: str) -> Iterator[bytes]:
        """The file in pieces of 1 MiB."""
        with self.path(cid).open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    async def write(self, cid: str, body: AsyncIterator[bytes]) -> int:
        """Stores a stream that must hash to its name; raises `BadRequest`, `TooLarge`. Returns its bytes."""
        target = self.path(cid)
        target.parent.mkdir(parents=True, exist_ok=True)
        hasher = hashlib.sha256()
        size = 0
        descriptor, draft = tempfile.mkstemp(dir=target.parent, prefix=".draft-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                async for chunk in body:
                    size += len(chunk)
                    if size > self.max_bytes:
                        raise TooLarge(f"file is over {self.max_bytes} bytes", remedy="split it")
                    hasher.update(chunk)
                    file.write(chunk)
                if cid_of(hasher.digest()) != cid:
                    raise BadRequest(
                        f"the bytes hash to {cid_of(hasher.digest())}, not to {cid}",
                        remedy="send the file that the CID names",
                    )
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, target)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
        return size

    def put(self, content: bytes) -> str:
        """Stores bytes of our own, such as a manifest; returns the CID."""
        cid = cid_of(hashlib.sha256(content).digest())
        target = self.path(cid)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            descriptor, draft = tempfile.mkstemp(dir=target.parent, prefix=".draft-")
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, target)
        return cid
