"""The sandbox's outside: starts the child, feeds it, and kills it when its time is over.

Whatever goes wrong with the child (killed, out of memory, too slow) is a `ProviderFault`: never a result.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Final, Self, cast

import psutil

from protocol.errors import ProtocolError
from protocol.results import TraceLeaf
from provider.runtimes.faults import CheckpointRefused, ModuleRefused, ProviderFault
from provider.runtimes.frames import BrokenFrame, Frame, read_frame, write_frame
from provider.runtimes.model import End, ResumePoint, RunSpec, Segment

_START_SECONDS: Final = 120
"""Longest time to read, check and compile a module."""

_SPARE_BYTES: Final = 128 * 1024**2


class SandboxedExecution:
    """A run in a child process. Only `advance` costs the job's wall time."""

    def __init__(
        self,
        spec: RunSpec,
        *,
        resume: ResumePoint | None = None,
        cache: Path | None = None,
        free_bytes: int | None = None,
    ) -> None:
        """`free_bytes` is the memory that the machine has for the job; None = what the system says."""
        limits = spec.manifest.limits
        free = psutil.virtual_memory().available if free_bytes is None else free_bytes
        if free < limits.memory_bytes + _SPARE_BYTES:
            # A memory that cannot grow to its limit would give another result than elsewhere.
            raise ProviderFault(
                f"the job may use {limits.memory_bytes} bytes of memory, {free} are free", "offer less memory"
            )
        self._seconds_left = float(limits.wall_seconds)
        self._process = _spawn()
        self._to_child, self._from_child = cast("BinaryIO", self._process.stdin), cast("BinaryIO", self._process.stdout)
        try:
            self._send(_job_frame(spec, resume, cache))
            self._receive("ready", _START_SECONDS)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def advance(self) -> Segment:
        """Runs the next segment; raises `ProviderFault` when the child dies or the job's wall time is over."""
        started = time.monotonic()
        self._send(Frame(kind="advance", fields={}))
        frame = self._receive("segment", self._seconds_left)
        self._seconds_left -= time.monotonic() - started
        try:
            return _segment(frame)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ProviderFault("the sandbox wrote a segment that is none", "report it as a bug") from error

    def close(self) -> None:
        """Kills the child, whatever it does."""
        with contextlib.suppress(ProcessLookupError):
            # Its own process group: nothing that it may have started survives it.
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._to_child, self._from_child):
            with contextlib.suppress(OSError):
                pipe.close()

    def _send(self, frame: Frame) -> None:
        try:
            write_frame(self._to_child, frame)
        except OSError as error:
            raise self._died() from error

    def _receive(self, kind: str, seconds: float) -> Frame:
        try:
            frame = read_frame(_timed(self._from_child.fileno(), time.monotonic() + seconds))
        except TimeoutError:
            self.close()
            raise ProviderFault(
                "the job met its wall-clock limit on this machine", "raise limits.wall_seconds, or use a faster machine"
            ) from None
        except BrokenFrame as error:
            raise self._died() from error
        if frame.kind == "refused":
            raise _refusal(frame.fields)
        if frame.kind != kind:
            raise ProviderFault(f"the sandbox said {frame.kind!r} instead of {kind!r}", "report it as a bug")
        return frame

    def _died(self) -> ProviderFault:
        self.close()
        return ProviderFault(
            f"the sandbox ended with code {self._process.returncode}", "look for the kernel's out-of-memory messages"
        )


def _spawn() -> "subprocess.Popen[bytes]":
    # Nothing of the agent's environment, where a password or a token may be, reaches the child.
    environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONHASHSEED": "0"}
    return subprocess.Popen(
        [sys.executable, "-m", "provider.runtimes.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd="/",
        start_new_session=True,
    )


def _job_frame(spec: RunSpec, resume: ResumePoint | None, cache: Path | None) -> Frame:
    fields = {
        "manifest": spec.manifest.model_dump(mode="json"),
        "inputs": list(spec.inputs),
        "resume": _leaf_fields(resume.leaf) if resume else None,
        "cache": str(cache) if cache else "",
        "wall_seconds": spec.manifest.limits.wall_seconds,
    }
    blobs = (spec.module, *spec.inputs.values(), *((resume.checkpoint,) if resume else ()))
    return Frame(kind="job", fields=fields, blobs=blobs)


def _leaf_fields(leaf: TraceLeaf) -> dict[str, Any]:
    return {"index": leaf.index, "state_hash": leaf.state_hash.hex(), "work": leaf.work}


def _timed(descriptor: int, deadline: float) -> Callable[[int], bytes]:
    """Reads exactly, or fewer at the end; raises TimeoutError at the deadline."""

    def read(size: int) -> bytes:
        parts = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while len(parts) < size:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError
                part = os.read(descriptor, min(1 << 20, size - len(parts)))
                if not part:
                    break
                parts += part
        return bytes(parts)

    return read


def _segment(frame: Frame) -> Segment:
    fields, blobs = frame.fields, list(frame.blobs)
    leaf = TraceLeaf(index=fields["index"], state_hash=bytes.fromhex(fields["state_hash"]), work=fields["work"])
    log = blobs.pop(0)
    checkpoint = blobs.pop(0) if fields["checkpoint"] else None
    end = fields["end"]
    return Segment(
        leaf=leaf,
        log=log,
        checkpoint=checkpoint,
        end=End(status=end["status"], exit_code=end["exit_code"], outputs=dict(zip(end["outputs"], blobs, strict=True)))
        if end
        else None,
    )


def _refusal(fields: dict[str, Any]) -> Exception:
    if fields["code"] == ModuleRefused.code:
        return ModuleRefused(fields["rule"], fields["fact"], fields["remedy"])
    if fields["code"] == CheckpointRefused.code:
        return CheckpointRefused(fields["fact"])
    if fields["code"] == ProviderFault.code:
        return ProviderFault(fields["fact"], fields["remedy"])
    return ProtocolError(fields["text"])
