"""One look for all who wait: which jobs have new events."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog
from sqlalchemy import func
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from backend.db import Database
from backend.events.tables import JobEventRow

log = structlog.get_logger()

LOOK_SECONDS: Final = 0.1
_OVERLAP: Final = 100
"""Numbers below the highest that are looked at again: a server can commit a lower one later."""


class Pulse:
    """Of one process. It looks only while somebody waits, and costs what is new, however many wait."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._newest = 0
        self._seen: set[int] = set()
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def listening(self, job_id: str) -> Iterator[asyncio.Event]:
        """Set whenever the job has news. Clear it, look, and only then wait for it: then nothing falls between."""
        news = asyncio.Event()
        if not self._waiting:
            self._start()
        self._waiting[job_id].add(news)
        try:
            yield news
        finally:
            self._waiting[job_id].discard(news)
            if not self._waiting[job_id]:
                del self._waiting[job_id]
            if not self._waiting and self._task is not None:
                self._task.cancel()
                self._task = None

    def _start(self) -> None:
        with self._db.read() as session:
            self._newest = session.exec(select(func.max(JobEventRow.id))).one() or 0
        # Nobody waits yet, so what is there already is news to nobody.
        self._look()
        self._task = asyncio.get_running_loop().create_task(self._look_on())

    async def _look_on(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                self._look()
            except SQLAlchemyError as error:
                # Whoever waits looks for itself now and then.
                log.warning("pulse.missed", error=str(error)[:200])

    def _look(self) -> None:
        statement = select(JobEventRow.id, JobEventRow.job_id).where(col(JobEventRow.id) > self._newest - _OVERLAP)
        with self._db.read() as session:
            rows = session.exec(statement).all()
        for number, job_id in rows:
            if number not in self._seen:
                for news in self._waiting.get(job_id, ()):
                    news.set()
        self._seen = {number for number, _ in rows if number is not None}
        self._newest = max(self._seen, default=self._newest)


async def news_or_time(news: asyncio.Event, seconds: float) -> bool:
    """True for news, False when the time is over."""
    try:
        await asyncio.wait_for(news.wait(), seconds)
    except TimeoutError:
        return False
    return True
