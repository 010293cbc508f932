"""Files by content: what goes up is named by its hash, what comes down is checked against its name."""

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from client.errors import FileChanged, FileMismatch, MarketRefused, NotFound
from client.http import Http
from client.uploads import OnProgress, Unfinished, Upload
from protocol.hashing import cid_of, sha256, sha256_of_cid, to_hex
from protocol.wire.files import FileInfo

PIECE_BYTES: Final = 1 << 20
WHOLE_BYTES: Final = 8 << 20
"""What is not larger goes in one request."""

Source = Path | bytes
"""A local file, or its bytes."""


def cid_of_source(source: Source) -> str:
    """The name of a local file, without sending it."""
    if isinstance(source, bytes):
        return cid_of(sha256(source))
    with source.open("rb") as file:
        return cid_of(hashlib.file_digest(file, "sha256").digest())


class Files:
    """The market's files. With a folder for `unfinished` ones, a later process goes on where one was stopped."""

    def __init__(self, http: Http, unfinished: Path | None = None) -> None:
        self._http = http
        self._unfinished = Unfinished(unfinished)

    def stat(self, cid: str) -> FileInfo | None:
        """None if the market does not hold the file. Raises `BadCid`."""
        digest = sha256_of_cid(cid)
        try:
            response = self._http.request("HEAD", f"/v1/files/{cid}")
        except NotFound:
            return None
        return FileInfo(cid=cid, sha256=to_hex(digest), size=int(response.headers.get("content-length", "0")))

    def put(self, source: Source | str, on_progress: OnProgress | None = None) -> str:
        """Sends a file unless the market holds it already, and returns its CID. Raises `FileChanged`.

        A large one goes in pieces; `on_progress` hears of each.
        """
        local = Path(source) if isinstance(source, str) else source
        cid = cid_of_source(local)
        if self.stat(cid) is None:
            size = len(local) if isinstance(local, bytes) else local.stat().st_size
            if size > WHOLE_BYTES:
                self._put_in_pieces(local, cid, size, on_progress)
                return cid
            self._http.request(
                "PUT",
                f"/v1/files/{cid}",
                content=local if isinstance(local, bytes) else lambda: _checked(local, cid, size),
                headers={"content-length": str(size), "content-type": "application/octet-stream"},
            )
        return cid

    def _put_in_pieces(self, local: Source, cid: str, size: int, on_progress: OnProgress | None) -> None:
        try:
            Upload(self._http, self._unfinished, local, cid, size).send(on_progress)
        except MarketRefused:
            if isinstance(local, Path) and cid_of_source(local) != cid:
                raise FileChanged(str(local)) from None
            raise

    def get(self, cid: str, to: Path | str, *, size: int | None = None) -> Path:
        """Downloads to the file `to`, which appears only when its hash is right; raises `FileMismatch`.

        `size` in bytes, if known, ends a download early that is too long.
        """
        expected = sha256_of_cid(cid)
        target = Path(to)
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name[:64]}.{secrets.token_hex(4)}.part")
        try:
            with draft.open("xb") as file:
                found = self._receive(cid, size, file.write)
            if found != expected:
                raise FileMismatch(cid, cid_of(found))
            os.replace(draft, target)
        finally:
            draft.unlink(missing_ok=True)
        return target

    def read(self, cid: str, *, size: int | None = None) -> bytes:
        """Like `get`, into memory."""
        content = bytearray()
        found = self._receive(cid, size, content.extend)
        if found != sha256_of_cid(cid):
            raise FileMismatch(cid, cid_of(found))
        return bytes(content)

    def _receive(self, cid: str, size: int | None, write: Callable[[bytes], object]) -> bytes:
        hasher = hashlib.sha256()
        received = 0
        with self._http.stream(f"/v1/files/{cid}") as incoming:
            for piece in incoming.pieces:
                received += len(piece)
                if size is not None and received > size:
                    raise FileMismatch(cid, f"more than its {size} bytes")
                hasher.update(piece)
                write(piece)
        return hasher.digest()


def _checked(path: Path, cid: str, size: int) -> Iterator[bytes]:
    """The file's pieces; the last one is held back until the whole is known to be what was hashed."""
    hasher = hashlib.sha256()
    sent = 0
    held = b""
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            hasher.update(piece)
            sent += len(piece)
            if held:
                yield held
            held = piece
    if sent != size or hasher.digest() != sha256_of_cid(cid):
        raise FileChanged(str(path))
    yield held
