"""The fetching process: `python -m indexer.backfill.worker`; a job comes on its input, spans go to its output.

It imports little, holds nothing, and ends with its parent: a pipe that nobody reads cannot be written to.
"""

import gc
import os
import signal
import sys
from queue import Queue
from threading import Thread
from typing import IO

from indexer.backfill.fetch import Fetcher
from indexer.backfill.job import read_job
from indexer.backfill.spans import ERRORS, Span, write_error, write_span
from protocol.rpc import Rpc


def main() -> None:
    # Ctrl-C reaches the whole group: the parent decides, and closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A range is a tree of many values without cycles, and looking for some would take longer than reading it.
    gc.disable()
    line = sys.stdin.buffer.readline()
    if not line:
        # It was warm, and is not wanted.
        return
    rpc_url, wanted = read_job(line)
    pipe = sys.stdout.buffer
    # One range waits here while the parent is busy with the one before and the next is fetched.
    ready: Queue[Span | Exception | None] = Queue(1)
    writer = Thread(target=_write, args=(pipe, ready), daemon=True)
    writer.start()
    try:
        with Rpc(rpc_url) as rpc:
            for span in Fetcher(rpc, wanted).spans():
                ready.put(span)
        ready.put(None)
    except ERRORS as error:
        ready.put(error)
    writer.join()


def _write(pipe: IO[bytes], ready: "Queue[Span | Exception | None]") -> None:
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, Exception):
                write_error(pipe, item)
                return
            write_span(pipe, item)
        write_span(pipe, Span.end())
    except BrokenPipeError:
        # Nobody waits any more. The fetching thread may be waiting for the node: end at once.
        os._exit(0)


if __name__ == "__main__":
    main()
