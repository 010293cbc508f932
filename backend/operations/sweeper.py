"""What was not done in time is asked for again; and where no broker carries the question, it is done here.

So a broker that is lost with all that it held costs a few seconds and no money (threat Q1). Every server and worker has
a sweeper. Who of them does a step is decided by the step's own lock.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

from backend import wake
from backend.market import Market
from backend.operations import ticks
from backend.operations.running import run_work
from backend.works import STEP

log = structlog.get_logger()

_LOOK_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look at the clockwork asks for."""

    ring: bool
    run: bool


def judge(age_ms: int | None, lost_ms: int) -> Verdict:
    """By the milliseconds since the last step; None = there was none yet. After `lost_ms` nobody has heard."""
    if age_ms is None:
        return Verdict(ring=True, run=False)
    return Verdict(ring=lost_ms // 2 < age_ms <= lost_ms, run=age_ms > lost_ms)


class Sweeper:
    """One thread with connections of its own."""

    def __init__(self, make_market: Callable[[], Market]) -> None:
        self._make_market = make_market
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Returns when it has ended, a step that it is at included."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        market = self._make_market()
        while not self._stop.wait(_LOOK_SECONDS):
            try:
                self.look(market)
            except Exception:
                # The last one who would notice that nothing is done must not end of whatever a step meets.
                log.exception("sweep.failed")
        market.db.close()

    def look(self, market: Market) -> Verdict | None:
        """Once; None if the database is away."""
        try:
            with market.db.read() as session:
                age_ms = ticks.age_ms(session, market.db, STEP.name)
        except SQLAlchemyError as error:
            log.warning("sweep.postponed", error=type(error).__name__)
            return None
        verdict = judge(age_ms, round(market.operations.sweep_seconds * 1000))
        if verdict.ring:
            wake.ring(STEP.name)
        if verdict.run:
            log.warning("step.swept", reason="no worker has done it")
            run_work(market, STEP)
        return verdict
