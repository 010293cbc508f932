"""Lives of programs whose imports are done: each is a fork of one process, so that a restart costs no second.

Run as a process it starts one `gridlease` command for each line that it reads (JSON: arguments and log file), in a
process group of its own; it says who began, and who ended and how.
"""

import ctypes
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Final, NoReturn

_PATIENCE_SECONDS: Final = 60.0
_PR_SET_PDEATHSIG: Final = 1
_MODULES: Final = ("alembic.command", "psycopg", "backend.cli", "backend.worker", "gridlease.serve", "indexer.follower")


class Life:
    """As `subprocess.Popen` shows a process, as far as a supervisor asks."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = threading.Event()

    def end(self, code: int) -> None:
        self.returncode = code
        self._ended.set()

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        self._ended.wait(timeout)
        return self.returncode


class Forks:
    """One process that forks. All its programs have its environment: some of it is read when they are imported."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.market.forks"],
                env={**os.environ, **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                # Ctrl-C ends a campaign in order.
                start_new_session=True,
            )
        self._log = log
        self._begun: queue.Queue[Life] = queue.Queue()
        self._asking = threading.Lock()
        threading.Thread(target=self._listen, daemon=True).start()

    def start(self, arguments: Sequence[str], log: Path) -> Life:
        """Raises `RuntimeError` if it cannot."""
        assert self._process.stdin is not None
        with self._asking:
            try:
                self._process.stdin.write(json.dumps([list(arguments), str(log)]).encode() + b"\n")
                self._process.stdin.flush()
                return self._begun.get(timeout=_PATIENCE_SECONDS)
            except (OSError, queue.Empty) as error:
                raise RuntimeError(f"nothing can be forked; see {self._log}") from error

    def close(self) -> None:
        """What still runs ends too."""
        self._process.kill()
        self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        lives: dict[int, Life] = {}
        for line in self._process.stdout:
            what, pid, code = line.split()
            if what == b"began":
                lives[int(pid)] = Life(int(pid))
                self._begun.put(lives[int(pid)])
            else:
                lives.pop(int(pid)).end(int(code))


def _main() -> None:
    for name in _MODULES:
        import_module(name)
    signal.signal(signal.SIGCHLD, lambda *_: _tell_of_the_dead())
    for line in sys.stdin:
        arguments, log = json.loads(line)
        # Nobody may be told to have ended before he has begun.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        child = os.fork()
        if child == 0:
            _live(arguments, log)
        # Whoever starts it may want to kill its group before it has made one.
        with suppress(PermissionError, ProcessLookupError):
            os.setpgid(child, child)
        os.write(1, f"began {child} 0\n".encode())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})


def _tell_of_the_dead() -> None:
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            os.write(1, f"ended {ended[0]} {os.waitstatus_to_exitcode(ended[1])}\n".encode())


def _live(arguments: list[str], log: str) -> NoReturn:
    os.setpgid(0, 0)
    # Nobody outlives the one that forks, nor that one the campaign, whose end it reads.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    null, output = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    code = 1
    try:
        _run(arguments)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:  # noqa: BLE001 -- nothing may reach the loop above
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        os._exit(code)


def _run(arguments: list[str]) -> None:
    from backend.settings import MarketSettings
    from backend.worker import broker_options
    from gridlease import cli

    # Was done when it was imported, and may fail where the broker is away.
    broker_options(MarketSettings().broker_url)
    sys.argv = ["gridlease", *arguments]
    cli.main()


if __name__ == "__main__":
    _main()
