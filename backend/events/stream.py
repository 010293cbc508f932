"""A job's events as server-sent events: each once and in order, from any of them on, until there will be no more."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final

from sqlmodel import Session, col, select
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from backend.errors import BadRequest, EventsGone, TooManyStreams
from backend.events.pulse import Pulse, news_or_time
from backend.events.tables import JobEventRow
from backend.jobs.tables import JobLogRow, JobRow
from backend.market import Market

_BATCH: Final = 100
_HEADERS: Final = {
    "Cache-Control": "no-store",
    # A proxy that gathers the answer before it passes it on would make a stream of it no more.
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
}


class Streams:
    """How many streams each account holds open in this process."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: Counter[str] = Counter()

    def enter(self, account: str) -> Callable[[], None]:
        """Takes a place, and gives what gives it back; raises `TooManyStreams`."""
        if self._open[account] >= self._most:
            raise TooManyStreams(f"the account holds {self._most} streams open here")
        self._open[account] += 1
        return lambda: self._open.subtract((account,))


class EventStream(StreamingResponse):
    """Ends with its messages, when the client leaves, or when it takes nothing for `stall_seconds`."""

    def __init__(
        self, messages: AsyncGenerator[bytes, None], *, stall_seconds: float, done: Callable[[], None]
    ) -> None:
        super().__init__(messages, media_type="text/event-stream", headers=_HEADERS)
        self._messages, self._stall_seconds, self._done = messages, stall_seconds, done

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def in_time(message: Any) -> None:
            await asyncio.wait_for(send(message), self._stall_seconds)

        try:
            await super().__call__(scope, receive, in_time)
        finally:
            await self._messages.aclose()
            self._done()


def position_of(given: str | None) -> int:
    """The number of the last event that the client has; raises `BadRequest`."""
    if given is None:
        return 0
    if not (given.isascii() and given.isdigit() and len(given) <= 9):
        raise BadRequest("Last-Event-ID is no id of this stream", remedy="send the last id that you have, or none")
    return int(given)


def is_over(session: Session, job: JobRow, position: int) -> bool:
    """Whether nothing follows: work and money have ended, and the client has all of it.

    Raises `EventsGone` where it lacks what is kept no longer: a stream that left something out would be a lie.
    """
    if position >= job.event_count:
        return job.settled_ms is not None
    following = select(JobEventRow.id).where(JobEventRow.job_id == job.id, JobEventRow.sequence == position + 1)
    if session.exec(following).first() is None:
        raise EventsGone(f"the events of this job after {position} are kept no longer")
    return False


async def messages(market: Market, pulse: Pulse, job_id: str, position: int) -> AsyncGenerator[bytes, None]:
    """The events after a position; comments while there are none; a last message without an id."""
    yield f": the events after {position}\n\n".encode()
    with pulse.listening(job_id) as news:
        while True:
            news.clear()
            with market.db.read() as session:
                # First, so that what it says is over is read to its end.
                settled = session.get_one(JobRow, job_id).settled_ms is not None
                rows = _after(session, job_id, position)
            for row in rows:
                yield _message(market, row)
                position = row.sequence
            if settled and len(rows) < _BATCH:
                yield b"event: end\ndata: {}\n\n"
                return
            if len(rows) < _BATCH and not await news_or_time(news, market.settings.heartbeat_seconds):
                yield b": still here\n\n"


def _after(session: Session, job_id: str, position: int) -> list[JobEventRow]:
    statement = select(JobEventRow).where(JobEventRow.job_id == job_id, col(JobEventRow.sequence) > position)
    return list(session.exec(statement.order_by(col(JobEventRow.sequence)).limit(_BATCH)))


def _message(market: Market, row: JobEventRow) -> bytes:
    data = json.loads(row.data)
    if row.kind == "job.log":
        # Each when it is its turn: a batch of long ones would hold up everybody else, and lie in memory while the
        # client takes the first.
        with market.db.read() as session:
            log = session.get(JobLogRow, tuple(data.pop("at")))
            data["text"] = log.text if log else ""
    # ASCII alone: what a provider printed can neither end the line nor steer a terminal that shows it.
    spelt = json.dumps({"at_ms": row.created_ms, **data}, separators=(",", ":")).replace("\x7f", "\\u007f")
    return f"id: {row.sequence}\nevent: {row.kind}\ndata: {spelt}\n\n".encode()
