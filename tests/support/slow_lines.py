"""Clients on lines that are hardly alive: heads and bodies that come by the byte, answers that nobody takes."""

import asyncio
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal

from backend.jobs.tables import JobLogRow
from tests.support.accounts_market import Somebody

Kind = Literal["head", "body", "reader"]

_BYTE_SECONDS: Final = 1
_SMALL_WINDOW_BYTES: Final = 4096
_FILE: Final = b"a file that takes a while" * (1 << 18)
_LOG: Final = "x" * 65_000


@dataclass(slots=True)
class SlowLine:
    """One such connection."""

    kind: Kind
    #: what it sends at once; the rest, if any, it sends by the byte
    request: bytes
    seconds: float | None = None
    answer: bytes = b""

    async def hold(self, port: int) -> None:
        """Until the server ends it, which `seconds` says the time of; a reader, which takes no notice, for ever."""
        line = socket.socket()
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_WINDOW_BYTES)
        line.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_connect(line, ("127.0.0.1", port))
            begun = time.monotonic()
            with suppress(ConnectionError):
                await loop.sock_sendall(line, self.request)
                if self.kind == "reader":
                    await asyncio.Event().wait()
                else:
                    await self._drip(line)
            self.seconds = time.monotonic() - begun
        finally:
            line.close()

    async def _drip(self, line: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        # A task of its own: what a read under a deadline has taken is lost with it.
        reading = asyncio.create_task(self._read(line))
        while not (await asyncio.wait({reading}, timeout=_BYTE_SECONDS))[0]:
            with suppress(ConnectionError):
                await loop.sock_sendall(line, b"a")
        await reading

    async def _read(self, line: socket.socket) -> None:
        while piece := await asyncio.get_running_loop().sock_recv(line, 4096):
            self.answer += piece


def slow_lines(somebody: Somebody) -> list[SlowLine]:
    """Five hundred: most are heads and bodies, the rest takes nothing of a file, or of a job's events with long logs.

    `somebody` has a key, money, and an offer to meet.
    """
    cid = somebody.put(_FILE)
    job_id = somebody.job(name="slow").json()["id"]
    with somebody.world.market.db.write() as session:
        session.add_all(JobLogRow(job_id=job_id, sequence=number, text=_LOG) for number in range(1, 90))
    token = somebody.token
    return [
        *(head_line("/v1/chain") for _ in range(220)),
        *(body_line("/v1/webhooks", token) for _ in range(200)),
        # As many as one account may have.
        *(reading_line(f"/v1/jobs/{job_id}/events", token) for _ in range(16)),
        *(reading_line(f"/v1/files/{cid}", token) for _ in range(64)),
    ]


def head_line(path: str) -> SlowLine:
    """A head without an end."""
    return SlowLine("head", f"GET {path} HTTP/1.1\r\nHost: slow\r\nX-Slow: ".encode())


def body_line(path: str, token: str) -> SlowLine:
    """A body that is announced and comes by the byte."""
    lines = [f"POST {path} HTTP/1.1", "Host: slow", f"Authorization: Bearer {token}", "Content-Length: 4000"]
    return SlowLine("body", "\r\n".join([*lines, "Content-Type: application/json", "", '{"']).encode())


def reading_line(path: str, token: str) -> SlowLine:
    """Asks for much and takes none of it."""
    lines = [f"GET {path} HTTP/1.1", "Host: slow", f"Authorization: Bearer {token}"]
    return SlowLine("reader", "\r\n".join([*lines, "", ""]).encode())
