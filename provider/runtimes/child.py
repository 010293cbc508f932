"""The sandbox's inside: a process that runs one job and can do little else.

It starts without environment and without secrets, reads the job from standard input, gives up its rights before the
first instruction of the job, runs a segment each time that it is told to, and dies when its parent does.
"""

import contextlib
import os
import queue
import resource
import sys
import threading
from pathlib import Path
from typing import Any, Final

from protocol.errors import GridleaseError
from protocol.manifest import Manifest
from protocol.results import TraceLeaf
from provider.runtimes.execution import WasmExecution
from provider.runtimes.faults import CheckpointRefused, ModuleRefused, ProviderFault
from provider.runtimes.frames import BrokenFrame, Frame, read_frame, write_frame
from provider.runtimes.model import ResumePoint, RunSpec, Segment

_ADDRESS_SPACE_BYTES: Final = 16 * 1024**3
"""The engine reserves 4 GiB for a memory and its guards; touched pages are bounded by the store's limit."""

_OPEN_FILES: Final = 64


def main() -> int:
    """Serves one job over standard input and output; exit code 0 unless the pipe broke."""
    orders, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # A stray print must not land between two frames.
    os.dup2(2, 1)
    try:
        frame = read_frame(orders.read)
        with _prepared(frame) as execution:
            _give_up_rights(int(frame.fields["wall_seconds"]))
            write_frame(answers, Frame(kind="ready", fields={}))
            _serve(execution, _watched(orders), answers)
    except BrokenFrame:
        return 1
    except GridleaseError as error:
        write_frame(answers, _refusal(error))
    return 0


def _prepared(frame: Frame) -> WasmExecution:
    fields = frame.fields
    spec = RunSpec(
        manifest=Manifest.parse(fields["manifest"]),
        module=frame.blobs[0],
        inputs=dict(zip(fields["inputs"], frame.blobs[1:], strict=False)),
    )
    resume = None
    if leaf := fields["resume"]:
        after = TraceLeaf(index=leaf["index"], state_hash=bytes.fromhex(leaf["state_hash"]), work=leaf["work"])
        resume = ResumePoint(leaf=after, checkpoint=frame.blobs[-1])
    return WasmExecution(spec, resume=resume, cache=Path(fields["cache"]) if fields["cache"] else None)


def _give_up_rights(wall_seconds: int) -> None:
    """From here on: no new files, no core dumps, no more processes, a bounded life."""
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _lower(resource.RLIMIT_CPU, wall_seconds + 5)
    _lower(resource.RLIMIT_AS, _ADDRESS_SPACE_BYTES)


def _lower(limit: int, value: int) -> None:
    _, hard = resource.getrlimit(limit)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    # macOS refuses some of these; the wall clock and the store's limits hold there too.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(limit, (value, value))


def _watched(orders: Any) -> "queue.Queue[Frame]":
    """Orders as they come. The thread ends the process when the parent is gone, even in the middle of a segment."""
    waiting: queue.Queue[Frame] = queue.Queue()

    def watch() -> None:
        while True:
            try:
                waiting.put(read_frame(orders.read))
            except BrokenFrame:
                os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    return waiting


def _serve(execution: WasmExecution, waiting: "queue.Queue[Frame]", answers: Any) -> None:
    while waiting.get().kind == "advance":
        segment = execution.advance()
        write_frame(answers, _segment_frame(segment))
        if segment.end:
            return


def _segment_frame(segment: Segment) -> Frame:
    leaf, end = segment.leaf, segment.end
    fields: dict[str, Any] = {
        "index": leaf.index,
        "state_hash": leaf.state_hash.hex(),
        "work": leaf.work,
        "checkpoint": segment.checkpoint is not None,
        "end": {"status": end.status, "exit_code": end.exit_code, "outputs": list(end.outputs)} if end else None,
    }
    blobs = [segment.log]
    if segment.checkpoint is not None:
        blobs.append(segment.checkpoint)
    if end:
        blobs += end.outputs.values()
    return Frame(kind="segment", fields=fields, blobs=tuple(blobs))


def _refusal(error: GridleaseError) -> Frame:
    fields: dict[str, Any] = {"code": error.code, "text": str(error)}
    if isinstance(error, ModuleRefused):
        fields |= {"rule": error.rule, "fact": error.fact, "remedy": error.remedy}
    elif isinstance(error, CheckpointRefused):
        fields |= {"fact": error.fact}
    elif isinstance(error, ProviderFault):
        fields |= {"fact": error.fact, "remedy": error.remedy}
    return Frame(kind="refused", fields=fields)


if __name__ == "__main__":
    raise SystemExit(main())
