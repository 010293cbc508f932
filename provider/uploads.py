"""Large files to the market in pieces (tus 1.0.0). Whoever stores a file again after a fault goes on where it broke."""

import base64
from typing import Final, Protocol

from protocol.wire.files import PIECE_MEDIA_TYPE, TUS_VERSION
from provider.errors import MarketRefused, MarketUnavailable

PIECE_BYTES: Final = 8 << 20
_ROOM: Final = "/v1/files/uploads"
_TUS: Final = {"tus-resumable": TUS_VERSION}
_NOT_FOUND: Final = 404
_AGAIN: Final = frozenset({"offset_mismatch", "upload_busy"})


class Ask(Protocol):
    """A call to the market; the answer's headers, by lower-case name."""

    def __call__(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> dict[str, str]: ...


class Pieces:
    """The uploads of one agent. Raises `MarketUnavailable` and `MarketRefused`; `store` may then be called again."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        #: CID → upload
        self._unfinished: dict[str, str] = {}

    def store(self, cid: str, data: bytes) -> None:
        """All of it, from where the last try ended."""
        upload = self._unfinished.get(cid)
        offset = 0 if upload is None else self._standing(cid, upload)
        if offset is None:
            self._unfinished.pop(cid, None)
            if self._is_there(cid):
                return
            upload, offset = None, 0
        if upload is None:
            upload = self._unfinished[cid] = self._begun(cid, len(data))
        while offset < len(data):
            offset = self._send(upload, offset, data)
        self._unfinished.pop(cid, None)

    def _standing(self, cid: str, upload: str) -> int | None:
        """Bytes that the market has; None if it knows the upload no more, since it is whole or was given up."""
        try:
            return _offset(self._ask("HEAD", f"{_ROOM}/{upload}", None, _TUS))
        except MarketRefused as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def _is_there(self, cid: str) -> bool:
        """The answer to the last piece may be what was lost."""
        try:
            self._ask("HEAD", f"/v1/files/{cid}", None, {})
        except MarketRefused as error:
            if error.status == _NOT_FOUND:
                return False
            raise
        return True

    def _begun(self, cid: str, size: int) -> str:
        name = base64.b64encode(cid.encode()).decode()
        headers = {**_TUS, "upload-length": str(size), "upload-metadata": f"cid {name}"}
        # Only the id is taken from it: what is sent must not follow an answer to another host.
        return self._ask("POST", _ROOM, b"", headers).get("location", "").rpartition("/")[2]

    def _send(self, upload: str, offset: int, data: bytes) -> int:
        headers = {**_TUS, "upload-offset": str(offset), "content-type": PIECE_MEDIA_TYPE}
        piece = data[offset : offset + PIECE_BYTES]
        try:
            reached = _offset(self._ask("PATCH", f"{_ROOM}/{upload}", piece, headers))
        except MarketRefused as error:
            if error.code in _AGAIN:
                # What broke may still be arriving; the next try asks where the upload stands.
                raise MarketUnavailable(f"PATCH {_ROOM}/{upload}", str(error)) from error
            raise
        if reached <= offset:
            raise MarketUnavailable(f"PATCH {_ROOM}/{upload}", "the upload does not go on")
        return reached


def _offset(headers: dict[str, str]) -> int:
    text = headers.get("upload-offset", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise MarketUnavailable(_ROOM, f"an upload that stands at {text[:20]!r}")
    return int(text)
