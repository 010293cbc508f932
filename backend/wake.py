"""Rings the worker's bell. A lost ring costs a second: clocks ring too, and the database remembers (threat Q1).

A request does not wait for the broker: a thread of its own rings, once for all who asked meanwhile. Between two rings
it waits, so that each auction has as much to choose from as its bidders can wait for. A broker that is away is asked
again a second later.
"""

import threading
from datetime import datetime
from typing import Final

import structlog
from kombu.exceptions import KombuError, OperationalError

from backend.operations import metrics

log = structlog.get_logger()

QUEUE: Final = "market"

EXPIRES_SECONDS: Final = 15
"""A ring that nobody heard for so long says nothing any more: later ones have been rung. Clocks may differ by less."""

_TICK_SECONDS: Final = 0.25
_AWAY_SECONDS: Final = 1.0


def prepare() -> None:
    """Loads what rings. It takes a second or two, in which nobody should wait for an answer yet."""
    import backend.worker  # noqa: F401


def market() -> None:
    """Asks for one run of the market's step, now."""
    _bell.ask()


def rung_time(expires: object) -> float | None:
    """Unix seconds at which a task was rung for, by when it says that it expires; None if it does not say."""
    try:
        return datetime.fromisoformat(expires).timestamp() - EXPIRES_SECONDS if isinstance(expires, str) else None
    except ValueError:
        return None


def ring(name: str, *, queue: str = QUEUE, expires_seconds: int = EXPIRES_SECONDS) -> bool:
    """Sends one task, by its name; False if the broker did not take it."""
    from backend.worker import celery_app

    try:
        celery_app.tasks[name].apply_async(ignore_result=True, retry=False, expires=expires_seconds, queue=queue)
    except (OperationalError, KombuError, OSError) as error:
        metrics.RINGS.labels(outcome="lost").inc()
        log.warning("wake.lost", work=name, error=str(error)[:200])
        return False
    metrics.RINGS.labels(outcome="taken").inc()
    return True


class _Bell:
    """One thread that rings for whoever asks."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def ask(self) -> None:
        self._asked.set()
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="bell", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        from backend.works import STEP

        pause = threading.Event()
        while self._asked.wait():
            self._asked.clear()
            try:
                taken = ring(STEP.name)
            except Exception:
                # Without this thread nobody would ring for requests any more.
                log.exception("wake.failed")
                taken = False
            pause.wait(_TICK_SECONDS if taken else _AWAY_SECONDS)


_bell = _Bell()
