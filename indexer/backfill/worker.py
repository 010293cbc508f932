"""The fetching process: `python -m indexer.backfill.worker`; a job comes on its input, spans go to its output.

It imports little, holds nothing, and ends with its parent: a pipe that nobody reads cannot be written to.
"""

import gc
import json
import os
import signal
import sys
from queue import Queue
from threading import Thread
from typing import IO

from indexer.backfill.fetch import Fetcher, Wanted
from indexer.backfill.spans import ERRORS, Span, write_error, write_span
from protocol.hashing import from_hex
from protocol.rpc import Rpc


def main() -> None:
    # Ctrl-C reaches the whole group: the parent decides, and closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A range is a tree of many values without cycles, and looking for some would take longer than reading it.
    gc.disable()
    job = json.loads(sys.stdin.buffer.readline())
    parent = job.pop("parent_hash")
    wanted = Wanted(
        ledger=from_hex(job.pop("ledger"), 20),
        parent_hash=None if parent is None else from_hex(parent, 32),
        first=job["first"],
        newest=job["newest"],
        mode=job["mode"],
        most_blocks=job["most_blocks"],
    )
    pipe = sys.stdout.buffer
    # One range waits here while the parent is busy with the one before and the next is fetched.
    ready: Queue[Span | Exception | None] = Queue(1)
    writer = Thread(target=_write, args=(pipe, ready), daemon=True)
    writer.start()
    try:
        with Rpc(job["rpc_url"]) as rpc:
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
        write_span(pipe, Span([], None))
    except BrokenPipeError:
        # Nobody waits any more. The fetching thread may be waiting for the node: end at once.
        os._exit(0)


if __name__ == "__main__":
    main()
