"""A worker that lives and does nothing is worse than a dead one, which somebody starts again (threat Q3).

After a broker came back a worker may be connected and never be given a message. So each worker has a canary: a message
every ten seconds through a queue of its own, by the same consumer as all others. One that is not heard for thirty
seconds ends the process, and so does a task over its time. A broker that takes no canary is not the worker's fault.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger()

CANARY_SECONDS: Final = 10.0
SILENCE_SECONDS: Final = 30.0
TASK_SECONDS: Final = 60.0

_LOOK_SECONDS: Final = 1.0


@dataclass(slots=True)
class Vigil:
    """What is known of one worker; all times are seconds of a clock that never goes back."""

    #: when the first canary was sent that has not been heard; None = all were
    unheard_since: float | None = None
    #: when the task began that runs now; None = none does
    busy_since: float | None = None

    def sent(self, now: float) -> None:
        """The broker took a canary."""
        if self.unheard_since is None:
            self.unheard_since = now

    def heard(self) -> None:
        """A canary came through."""
        self.unheard_since = None

    def began(self, now: float) -> None:
        """A task runs."""
        self.busy_since = now

    def ended(self, now: float) -> None:
        """It ended; what waited behind it could not be heard meanwhile."""
        if self.unheard_since is not None and self.busy_since is not None:
            self.unheard_since += now - max(self.busy_since, self.unheard_since)
        self.busy_since = None

    def fault(self, now: float) -> str | None:
        """Why the process should end; None = it is well."""
        if self.busy_since is not None:
            spent = now - self.busy_since
            return f"a task has run for {spent:.0f} s" if spent > TASK_SECONDS else None
        if self.unheard_since is not None and now - self.unheard_since > SILENCE_SECONDS:
            return f"no message has come through for {now - self.unheard_since:.0f} s"
        return None


def _end_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Watchdog:
    """Looks once a second; ends the process when there is a fault, and touches a file as long as there is none.

    The file is for whoever watches from outside: a process that is stopped, or holds the interpreter's lock for ever,
    cannot end itself.
    """

    def __init__(
        self,
        *,
        end: Callable[[], None] = _end_process,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.vigil = Vigil()
        self._end = end
        self._now = now
        self._stop = threading.Event()

    def start(self, send_canary: Callable[[], bool], pulse_file: Path | None) -> None:
        """Two threads: to send a canary may take as long as the broker likes, to look must not."""
        threading.Thread(target=self._keep_sending, args=(send_canary,), name="canary", daemon=True).start()
        threading.Thread(target=self._keep_looking, args=(pulse_file,), name="watchdog", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def began(self) -> None:
        self.vigil.began(self._now())

    def ended(self) -> None:
        self.vigil.ended(self._now())

    def look(self, pulse_file: Path | None) -> None:
        """Once."""
        fault = self.vigil.fault(self._now())
        if fault is not None:
            log.error("worker.stalled", reason=fault)
            self._end()
        elif pulse_file is not None:
            pulse_file.touch()

    def _keep_looking(self, pulse_file: Path | None) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            self.look(pulse_file)

    def _keep_sending(self, send_canary: Callable[[], bool]) -> None:
        while not self._stop.wait(CANARY_SECONDS):
            try:
                taken = send_canary()
            except Exception:
                # A canary that cannot be sent says nothing of this worker.
                log.exception("canary.failed")
            else:
                if taken:
                    self.vigil.sent(self._now())
