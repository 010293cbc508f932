"""Starts processes in order, waits until each answers, restarts what dies or falls silent, and stops them all.

Each child leads a process group of its own, so Ctrl-C reaches only the supervisor, which then stops them in reverse.
On Linux the kernel also ends a child whose supervisor was killed.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from protocol.errors import GridleaseError

log = structlog.get_logger()

_STOP_SECONDS: Final = 8.0
_POLL_SECONDS: Final = 0.05
_FIRST_BACKOFF_SECONDS: Final = 0.5
_LAST_BACKOFF_SECONDS: Final = 10.0
_STEADY_SECONDS: Final = 10.0
_SILENCE_SECONDS: Final = 30.0
_PR_SET_PDEATHSIG: Final = 1


class ProcessFailed(GridleaseError):
    """A process did not come up."""

    code = "process_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A process that belongs to the house."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    #: True once it answers; asked until it does
    ready: Callable[[], bool] = lambda: True
    #: started again when it ends; the node is not, because its chain ends with it
    restart: bool = True
    #: seconds that it may take to answer
    patience_seconds: float = 30.0
    #: a file that it touches as long as it is well; None = it does not say
    pulse_file: Path | None = None


@dataclass(slots=True)
class _Child:
    program: Program
    process: subprocess.Popen[bytes]
    started: float
    backoff: float = _FIRST_BACKOFF_SECONDS
    down_since: float | None = None


class Supervisor:
    """A list of programs, started in order and stopped in reverse."""

    def __init__(self, log_folder: Path) -> None:
        self.log_folder = log_folder
        self._children: dict[str, _Child] = {}

    def start(self, program: Program) -> None:
        """Starts a program and waits until it answers; raises `ProcessFailed` with the end of its log."""
        child = _Child(program, self._spawn(program), time.monotonic())
        self._children[program.name] = child
        deadline = time.monotonic() + program.patience_seconds
        while not program.ready():
            if child.process.poll() is not None:
                raise ProcessFailed(f"{program.name} ended with {child.process.returncode}: {self.last_words(program)}")
            if time.monotonic() > deadline:
                raise ProcessFailed(
                    f"{program.name} did not answer in {program.patience_seconds:.0f} s: {self.last_words(program)}"
                )
            time.sleep(_POLL_SECONDS)

    def _spawn(self, program: Program) -> subprocess.Popen[bytes]:
        self.log_folder.mkdir(parents=True, exist_ok=True)
        with self._log_path(program).open("ab") as output:
            return subprocess.Popen(
                program.arguments,
                env={**os.environ, **program.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509
            )

    def _log_path(self, program: Program) -> Path:
        return self.log_folder / f"{program.name}.log"

    def last_words(self, program: Program) -> str:
        """The end of a program's log."""
        return f"see {self._log_path(program)}\n" + self._log_path(program).read_text(errors="replace")[-1500:]

    def pid(self, name: str) -> int:
        return self._children[name].process.pid

    def tend(self) -> None:
        """Restarts what has ended, slower each time it ends soon; raises `ProcessFailed` for what must not restart."""
        now = time.monotonic()
        for name, child in self._children.items():
            if child.process.poll() is None:
                if now - child.started > _STEADY_SECONDS:
                    child.backoff = _FIRST_BACKOFF_SECONDS
                if self._is_silent(child):
                    log.error("process.silent", name=name, seconds=_SILENCE_SECONDS)
                    # It may be stopped, or hold on to what no signal handler can end.
                    _signal_group(child.process, signal.SIGKILL)
                continue
            if not child.program.restart:
                raise ProcessFailed(f"{name} ended: {self.last_words(child.program)}")
            if child.down_since is None:
                child.down_since = now
                # What it had started itself (the worker's beat) must not run beside its successor's.
                _signal_group(child.process, signal.SIGKILL)
                log.warning("process.ended", name=name, code=child.process.returncode, again_in_seconds=child.backoff)
            if now - child.down_since >= child.backoff:
                child.process = self._spawn(child.program)
                child.started, child.down_since = now, None
                child.backoff = min(2 * child.backoff, _LAST_BACKOFF_SECONDS)

    def _is_silent(self, child: _Child) -> bool:
        """Alive, and without a sign of life for too long; a process that has just begun is given the same time."""
        pulse = child.program.pulse_file
        if pulse is None or time.monotonic() - child.started <= _SILENCE_SECONDS:
            return False
        try:
            return time.time() - pulse.stat().st_mtime > _SILENCE_SECONDS
        except FileNotFoundError:
            return True

    def stop(self) -> None:
        """Stops all: SIGTERM in reverse order, SIGKILL to what does not listen."""
        children = list(reversed(self._children.values()))
        for child in children:
            _signal_group(child.process, signal.SIGTERM)
            deadline = time.monotonic() + _STOP_SECONDS
            while child.process.poll() is None and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
            # The group too: a program's own children must not outlive it.
            _signal_group(child.process, signal.SIGKILL)
            child.process.wait()
        self._children.clear()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return


def _die_with_parent() -> None:
    """Between fork and exec: SIGTERM when the supervisor is gone."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
