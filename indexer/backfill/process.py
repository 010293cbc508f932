"""The fetching process, from its parent's side."""

import contextlib
import fcntl
import subprocess
import sys
from typing import IO, Protocol

from indexer.backfill.fetch import Wanted
from indexer.backfill.job import spell_job
from indexer.backfill.spans import Span, read_span
from protocol.errors import NodeUnavailable

_STOP_SECONDS = 5
#: a range has megabytes, and each time that a pipe is full both sides wait; the most that Linux allows by default
_PIPE_BYTES = 1 << 20


class Fetch(Protocol):
    """Where a backfill's ranges come from."""

    def next(self) -> Span | None: ...
    def close(self) -> None: ...


class Fetches(Protocol):
    """What starts backfills."""

    def warm(self) -> None:
        """One may be wanted soon."""

    def start(self, rpc_url: str, wanted: Wanted) -> Fetch: ...

    def close(self) -> None:
        """Ends what was warmed and not wanted."""


class FetchProcesses:
    """A process a backfill. One can be warm before its job is known: most of a start is imports."""

    def __init__(self, module: str = "indexer.backfill.worker") -> None:
        self._module = module
        self._warm: subprocess.Popen[bytes] | None = None

    def warm(self) -> None:
        if self._warm is None:
            self._warm = self._spawn()

    def start(self, rpc_url: str, wanted: Wanted) -> "FetchProcess":
        process, self._warm = self._warm or self._spawn(), None
        return FetchProcess(process, rpc_url, wanted)

    def close(self) -> None:
        process, self._warm = self._warm, None
        if process is not None:
            _end(process)

    def _spawn(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-m", self._module], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        # A narrow pipe does too, where the system has no other or allows none.
        with contextlib.suppress(AttributeError, OSError):
            fcntl.fcntl(_output(process), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        return process


class FetchProcess:
    """Fetches one backfill from one node."""

    def __init__(self, process: subprocess.Popen[bytes], rpc_url: str, wanted: Wanted) -> None:
        self._url = rpc_url
        self._process = process
        # It may have ended already: `next` says so.
        with contextlib.suppress(BrokenPipeError):
            _input(process).write(spell_job(rpc_url, wanted) + b"\n")
            _input(process).flush()

    def next(self) -> Span | None:
        """The next range, None after the last. Raises what `Fetcher.spans` raises."""
        try:
            span = read_span(_output(self._process))
        except EOFError as error:
            raise NodeUnavailable(self._url, f"{error}; it is started again") from error
        return span if span.blocks else None

    def close(self) -> None:
        """Ends it, wherever it is."""
        _end(self._process)


def _input(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stdin is None:
        raise AssertionError("it was asked for as a pipe")
    return process.stdin


def _output(process: subprocess.Popen[bytes]) -> IO[bytes]:
    if process.stdout is None:
        raise AssertionError("it was asked for as a pipe")
    return process.stdout


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
    process.wait(_STOP_SECONDS)
