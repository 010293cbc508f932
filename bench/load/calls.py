"""HTTP calls over kept-open connections, many at once, with as little cost of their own as Python allows."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import orjson

_LONGEST_BODY: Final = 1 << 24
_Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of one call."""

    status: int
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)


class Calls:
    """One server. At most `connections` calls are under way; the others wait for a free one."""

    def __init__(self, port: int, connections: int) -> None:
        self._port = port
        self._idle: list[_Pair] = []
        self._free = asyncio.Semaphore(connections)

    async def __call__(
        self, method: str, path: str, body: Any = None, token: str | None = None, **headers: str
    ) -> Answer:
        """`body` is sent as JSON, bytes as they are; header names with `_` for `-`."""
        content = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        lines = [f"{method} {path} HTTP/1.1", "Host: bench", f"Content-Length: {len(content)}"]
        lines += ["Content-Type: application/json"] if body is not None and not isinstance(body, bytes) else []
        lines += [f"Authorization: Bearer {token}"] if token else []
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        request = "\r\n".join([*lines, "", ""]).encode() + content
        async with self._free:
            while self._idle:
                answer = await _asked(self._idle, self._idle.pop(), request)
                # The server closes connections that nobody used for a while.
                if answer is not None:
                    return answer
            pair = await asyncio.open_connection("127.0.0.1", self._port, limit=_LONGEST_BODY)
            answer = await _asked(self._idle, pair, request)
            if answer is None:
                raise ConnectionError(f"the server closed {method} {path}")
            return answer


async def _asked(idle: list[_Pair], pair: _Pair, request: bytes) -> Answer | None:
    """None where the connection was closed before a word came back. One that answered in full serves the next call."""
    reader, writer = pair
    try:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
        return None
    length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
    answer = await reader.readexactly(int(length)) if length else b""
    idle.append(pair)
    return Answer(int(head.split(b" ", 2)[1]), answer)
