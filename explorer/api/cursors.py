"""Page tokens: opaque, signed, and bound to the question and to the chain as it was.

A token names a row's place, which way to read from it, and the canonical block that the row stood in. While that block
stands, everything at or below it does, whatever was replaced above; so it is the block's hash that decides whether a
token survives a reorg. The signature keeps anybody from asking for places that no page gave out.
"""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from explorer.identifiers import Malformed
from explorer.settings import ExplorerSettings

Place = tuple[int | bytes, ...]
"""Where a row stands in its list's order."""

_MAC: Final = 16
_LONGEST: Final = 600
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Where a page begins."""

    place: Place
    #: read towards newer rows
    newer: bool
    #: of the mirror when the token was made
    reorg_epoch: int
    #: canonical block of the row at `place`; empty for the list's end, which no reorg moves
    block_number: int
    block_hash: bytes


class Seal:
    """Makes and reads tokens and entity tags with one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def tag(self, *parts: object) -> str:
        """A strong entity tag: equal parts give the same, other parts another."""
        return '"' + hashlib.blake2b(repr(parts).encode(), key=self._key, digest_size=16).hexdigest() + '"'

    def token(self, cursor: Cursor, question: str) -> str:
        """A page token that is good for `question` only."""
        payload = _spell(cursor)
        return base64.urlsafe_b64encode(self._mac(payload, question) + payload).decode().rstrip("=")

    def read(self, token: str, question: str) -> Cursor:
        """Raises `Malformed` for what this server did not make, or made for another question."""
        try:
            raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)) if len(token) <= _LONGEST else b""
        except (binascii.Error, ValueError):
            raw = b""
        mac, payload = raw[:_MAC], raw[_MAC:]
        if not payload or not hmac.compare_digest(mac, self._mac(payload, question)):
            raise Malformed(
                "page_token",
                "it was not given out by this site for this list",
                "send it with the same filters, or leave it out to start at the newest row",
            )
        return _parse(payload)

    def _mac(self, payload: bytes, question: str) -> bytes:
        return hashlib.blake2b(
            len(payload).to_bytes(2, "big") + payload + question.encode(), key=self._key, digest_size=_MAC
        ).digest()


def _spell(cursor: Cursor) -> bytes:
    place = [f"x{part.hex()}" if isinstance(part, bytes) else f"i{part}" for part in cursor.place]
    head = [str(int(cursor.newer)), str(cursor.reorg_epoch), str(cursor.block_number), cursor.block_hash.hex()]
    return " ".join(head + place).encode()


def _parse(payload: bytes) -> Cursor:
    newer, epoch, number, block_hash, *place = payload.decode().split(" ")
    return Cursor(
        newer=newer == "1",
        reorg_epoch=int(epoch),
        block_number=int(number),
        block_hash=bytes.fromhex(block_hash),
        place=tuple([bytes.fromhex(part[1:]) if part[0] == "x" else int(part[1:]) for part in place]),
    )


def page_key(settings: ExplorerSettings, mirror: Path | None) -> bytes:
    """The setting's key; else the one in a file beside the mirror, made at first use; else one of this process."""
    if settings.page_key is not None:
        return hashlib.blake2b(settings.page_key.get_secret_value().encode(), digest_size=32).digest()
    if mirror is not None:
        path = mirror.with_name(mirror.name + ".page-key")
        try:
            return _kept(path)
        except OSError as error:
            _log.warning("explorer.page_key_not_kept", error=str(error))
    return secrets.token_bytes(32)


def _kept(path: Path) -> bytes:
    """What the file holds; the first of several servers that start together writes it."""
    with suppress(FileNotFoundError):
        return path.read_bytes()
    fresh = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
        # A link appears whole and only once, so nobody reads half a key or replaces another's.
        with suppress(FileExistsError):
            path.hardlink_to(fresh)
    finally:
        fresh.unlink()
    return path.read_bytes()
