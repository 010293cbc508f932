"""Celery's beat, of which there may be as many as one likes: for each tick one of them rings (threat Q4).

What is due is no secret of a schedule file. The database says when each work was last rung for, and a beat that was
away for an hour rings once.
"""

from typing import Any

import structlog
from celery.beat import ScheduleEntry, Scheduler
from sqlalchemy.exc import SQLAlchemyError

from backend.db import Database
from backend.operations import ticks
from backend.settings import MarketSettings
from backend.works import WORKS

log = structlog.get_logger()

_EVERY_MS = {work.name: work.every_ms for work in WORKS}


class Clock(Scheduler):
    """Beat's scheduler; it looks each second and keeps nothing."""

    max_interval = 1

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._db: Database | None = None
        super().__init__(*args, **kwargs)

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        if entry.name is not None and self._is_mine(entry.name):
            super().apply_entry(entry, producer)

    def _is_mine(self, name: str) -> bool:
        # Beat may be a process that was forked: it must not share its parent's connections.
        if self._db is None:
            self._db = Database(MarketSettings().market_url)
        try:
            # A little early is on time: else a clock of one second would ring every other second.
            return ticks.take(self._db, name, _EVERY_MS[name] * 9 // 10)
        except SQLAlchemyError as error:
            log.warning("tick.postponed", work=name, error=type(error).__name__)
            return False
