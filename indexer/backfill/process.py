"""The fetching process, from its parent's side."""

import json
import subprocess
import sys
from typing import Any, Protocol

from indexer.backfill.fetch import Wanted
from indexer.backfill.spans import Span, read_span
from protocol.errors import NodeUnavailable
from protocol.hashing import to_hex

_STOP_SECONDS = 5


class Fetch(Protocol):
    """Where a backfill's ranges come from."""

    def next(self) -> Span | None: ...
    def close(self) -> None: ...


class FetchProcess:
    """Fetches one backfill from one node."""

    def __init__(self, rpc_url: str, wanted: Wanted, module: str = "indexer.backfill.worker") -> None:
        self._url = rpc_url
        self._process: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        job: dict[str, Any] = {
            "rpc_url": rpc_url,
            "ledger": to_hex(wanted.ledger),
            "parent_hash": None if wanted.parent_hash is None else to_hex(wanted.parent_hash),
            "first": wanted.first,
            "newest": wanted.newest,
            "mode": wanted.mode,
            "most_blocks": wanted.most_blocks,
        }
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise AssertionError("both were asked for as pipes")
        stdin.write(json.dumps(job).encode() + b"\n")
        stdin.flush()
        self._spans = stdout

    def next(self) -> Span | None:
        """The next range, None after the last. Raises what `Fetcher.spans` raises."""
        try:
            span = read_span(self._spans)
        except EOFError as error:
            raise NodeUnavailable(self._url, f"{error}; it is started again") from error
        return span if span.blocks else None

    def close(self) -> None:
        """Ends it, wherever it is."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait(_STOP_SECONDS)
