"""Large files in pieces (tus 1.0.0): a broken connection costs the piece that was under way, not the file."""

import base64
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from client.errors import BadAnswer, MarketRefused, MarketUnavailable, NotFound
from client.http import Http
from protocol.wire.files import PIECE_MEDIA_TYPE, TUS_VERSION

PIECE_BYTES: Final = 8 << 20
OUTAGE_SECONDS: Final = 120.0
"""How long an upload bears that nothing gets through: long enough for a restart."""
FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 5.0
_CHUNK_BYTES: Final = 1 << 16
_ROOM: Final = "/v1/files/uploads"
_TUS: Final = {"tus-resumable": TUS_VERSION}
_AGAIN: Final = frozenset({"offset_mismatch", "upload_busy"})

OnProgress = Callable[[int, int], object]
"""Gets (bytes that the market has, bytes in all)."""


class Unfinished:
    """Uploads that a process left unfinished, so that the next one goes on; files in a folder, or nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def find(self, cid: str) -> str | None:
        try:
            return None if self._folder is None else (self._folder / cid).read_text().strip()
        except OSError:
            return None

    def note(self, cid: str, upload: str) -> None:
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            (self._folder / cid).write_text(upload)

    def forget(self, cid: str) -> None:
        if self._folder is not None:
            (self._folder / cid).unlink(missing_ok=True)


class Upload:
    """One file on its way to the market."""

    def __init__(self, http: Http, unfinished: Unfinished, source: Path | bytes, cid: str, size: int) -> None:
        self._http, self._unfinished, self._source, self._cid, self._size = http, unfinished, source, cid, size

    def send(self, on_progress: OnProgress | None = None) -> None:
        """All of it, however often the connection breaks. Raises `MarketUnavailable`, `MarketRefused`."""
        upload, offset = self._resumed() or (self._begun(), 0)
        stuck_since: float | None = None
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                if stuck_since is not None:
                    offset = self._standing(upload)
                if on_progress is not None:
                    on_progress(offset, self._size)
                if offset == self._size:
                    break
                offset = self._send_piece(upload, offset)
                stuck_since, pause = None, FIRST_PAUSE_SECONDS
            except (MarketUnavailable, MarketRefused) as error:
                if isinstance(error, MarketRefused) and error.code not in _AGAIN:
                    self._unfinished.forget(self._cid)
                    raise
                stuck_since = stuck_since or time.monotonic()
                if time.monotonic() - stuck_since > OUTAGE_SECONDS:
                    raise
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        self._unfinished.forget(self._cid)

    def _resumed(self) -> tuple[str, int] | None:
        upload = self._unfinished.find(self._cid)
        if upload is None:
            return None
        try:
            return upload, self._standing(upload)
        except MarketRefused:
            # It expired, or it is another account's.
            self._unfinished.forget(self._cid)
            return None

    def _begun(self) -> str:
        name = base64.b64encode(self._cid.encode()).decode()
        headers = {**_TUS, "upload-length": str(self._size), "upload-metadata": f"cid {name}"}
        answer = self._http.request("POST", _ROOM, headers=headers)
        # Only the id is taken from it: what is sent must not follow an answer to another host.
        upload = str(answer.headers.get("location", "")).rpartition("/")[2]
        if not upload.replace("_", "").isalnum():
            raise BadAnswer(f"POST {_ROOM}", "no Location of an upload")
        self._unfinished.note(self._cid, upload)
        return upload

    def _standing(self, upload: str) -> int:
        """Bytes that the market has; all of them where the file is there and the upload is over."""
        try:
            answer = self._http.request("HEAD", f"{_ROOM}/{upload}", headers=_TUS)
        except NotFound:
            # The answer to the last piece may be what was lost.
            self._http.request("HEAD", f"/v1/files/{self._cid}")
            return self._size
        return self._offset(answer.headers.get("upload-offset", ""))

    def _send_piece(self, upload: str, offset: int) -> int:
        end = min(self._size, offset + PIECE_BYTES)
        headers = {
            **_TUS,
            "upload-offset": str(offset),
            "content-type": PIECE_MEDIA_TYPE,
            "content-length": str(end - offset),
        }
        answer = self._http.request(
            "PATCH", f"{_ROOM}/{upload}", content=lambda: self._read(offset, end), headers=headers
        )
        return self._offset(answer.headers.get("upload-offset", ""))

    def _read(self, start: int, end: int) -> Iterator[bytes]:
        if isinstance(self._source, bytes):
            yield self._source[start:end]
            return
        with self._source.open("rb") as file:
            file.seek(start)
            while start < end:
                chunk = file.read(min(_CHUNK_BYTES, end - start))
                if not chunk:
                    return
                start += len(chunk)
                yield chunk

    def _offset(self, text: str) -> int:
        if not (text.isascii() and text.isdigit() and int(text) <= self._size):
            raise BadAnswer(_ROOM, f"an upload of {self._size} bytes that stands at {text[:20]!r}")
        return int(text)
