"""Many requests, one transaction: on SQLite each commit waits for the disk, so those that wait for it share one.

Each one's work is in a savepoint of its own: what it raises takes back its own writes alone. Nobody is answered before
the whole is on the disk, and the event loop serves others meanwhile.
"""

import asyncio
import time
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import sessionmaker
from sqlmodel import Session

from backend.paced_queue import PacedQueue
from backend.write_turns import WriteTurns, driver_of

T = TypeVar("T")

_LONGEST_SECONDS: Final = 0.015
"""Works that are joined end after so long: other processes want to write too, and other requests to be read."""
_LONGEST_OTHERS_SECONDS: Final = 0.005
"""Those that are no buyer's take in no more after so long: a buyer of another process may wait."""


@dataclass(frozen=True, slots=True)
class _Part:
    """One request's work, run in the request's own context."""

    work: Callable[[Session], Any]
    is_first: bool
    context: Context
    done: "asyncio.Future[Any]"


class _Queue(PacedQueue[_Part]):
    """Of one event loop."""

    runner: "asyncio.Task[None] | None" = None


class GroupCommit:
    """Of one SQLite database in one process."""

    def __init__(self, engine: Engine, sessions: sessionmaker[Session], turns: WriteTurns) -> None:
        self._engine, self._sessions, self._turns = engine, sessions, turns
        self._queues: WeakKeyDictionary[asyncio.AbstractEventLoop, _Queue] = WeakKeyDictionary()

    async def run(self, work: Callable[[Session], T], *, is_first: bool) -> T:
        """What the work returns, once it is on the disk; or raises what it raises.

        `is_first`: it is a buyer's, and waits for few others (backend/paced_queue.py).
        """
        loop = asyncio.get_running_loop()
        queue = self._queues.setdefault(loop, _Queue())
        part = _Part(work, is_first, copy_context(), loop.create_future())
        queue.append(part, time.monotonic(), is_first=is_first)
        self._begin(loop, queue)
        answer: T = await part.done
        return answer

    def _begin(self, loop: asyncio.AbstractEventLoop, queue: _Queue) -> None:
        if queue.runner is None or queue.runner.done():
            queue.runner = loop.create_task(self._run(loop, queue))

    async def _run(self, loop: asyncio.AbstractEventLoop, queue: _Queue) -> None:
        while (wait_seconds := queue.wait_seconds(time.monotonic())) is not None:
            if wait_seconds:
                # Who comes meanwhile is not held up.
                loop.call_later(wait_seconds, self._begin, loop, queue)
                return
            try:
                with self._engine.connect() as connection:
                    connection.begin()
                    await self._turns.take_on_loop(connection, lambda: queue.is_first_waiting)
                    await self._commit(connection, self._work(connection, queue))
            except BaseException as error:
                # Nobody who waits now would fare better.
                for part in queue.all():
                    _fail(part, error)
                if not isinstance(error, DBAPIError):
                    raise

    def _work(self, connection: Connection, queue: _Queue) -> list[tuple[_Part, Any]]:
        """Runs those that wait, for a while; returns what those came to that raised nothing."""
        answers = []
        now = time.monotonic()
        ends, others_seconds = now + _LONGEST_SECONDS, 0.0
        while now < ends and others_seconds < _LONGEST_OTHERS_SECONDS and (part := queue.take(now)) is not None:
            if part.done.done():
                # Its caller is gone before anything was done for it.
                continue
            try:
                answers.append((part, part.context.run(self._apart, connection, part.work)))
            except BaseException as error:
                _fail(part, error)
                if not isinstance(error, Exception):
                    raise
                if not driver_of(connection).in_transaction:
                    # SQLite took back the whole, as it may where the disk is full.
                    for other, _ in answers:
                        _fail(other, error)
                    return []
            begun, now = now, time.monotonic()
            queue.spend(now - begun, now)
            if not part.is_first:
                others_seconds += now - begun
        return answers

    def _apart(self, connection: Connection, work: Callable[[Session], T]) -> T:
        raw = driver_of(connection)
        raw.execute("SAVEPOINT part")
        try:
            # Who uses the ORM gets a savepoint of its own inside: what the ORM takes back is not all that waits.
            with self._sessions(bind=connection, join_transaction_mode="create_savepoint") as session:
                answer = work(session)
                session.commit()
        except BaseException:
            if raw.in_transaction:
                raw.execute("ROLLBACK TO part")
                raw.execute("RELEASE part")
            raise
        raw.execute("RELEASE part")
        return answer

    async def _commit(self, connection: Connection, answers: list[tuple[_Part, Any]]) -> None:
        try:
            await asyncio.to_thread(connection.commit)
        except DBAPIError as error:
            # It may still be in the transaction, and would keep it open for whoever gets it next.
            connection.invalidate()
            for part, _ in answers:
                _fail(part, error)
            return
        for part, answer in answers:
            if not part.done.done():
                part.done.set_result(answer)


def _fail(part: _Part, error: BaseException) -> None:
    if not part.done.done():
        part.done.set_exception(error)
