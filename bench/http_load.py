"""Requests over kept-open connections, with as little of their own cost as Python allows: the server is measured."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one run saw."""

    #: answers a second
    rate: float
    #: seconds, of 99 of 100 answers
    p99: float
    #: of one answer's body
    bytes: int


async def load(port: int, target: Callable[[int], str], *, connections: int, requests: int) -> Load:
    """`target(i)` is the path of the i-th request; any status but 200 voids the run."""
    times: list[float] = []
    sizes: list[int] = []
    given = iter(range(requests))

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        for index in given:
            begun = time.perf_counter()
            writer.write(f"GET {target(index)} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"no figure: {target(index)} gave {head[:200]!r}")
            length = int(head.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
            await reader.readexactly(length)
            times.append(time.perf_counter() - begun)
            sizes.append(length)
        writer.close()

    begun = time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(connections)))
    seconds = time.perf_counter() - begun
    times.sort()
    return Load(rate=requests / seconds, p99=times[min(int(len(times) * 0.99), len(times) - 1)], bytes=max(sizes))
