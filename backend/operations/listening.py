"""Servers say that they take calls, so that no lease is given up because they did not (backend/operations/lateness.py).

Each server stands in line with its own callers every second, and commits among their writes. Between two such
pulses, however many servers write them, lies as much time as a caller had to wait.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, delete, select

from backend.db import Database
from backend.operations.lateness import Lateness, Spell, spell_between
from backend.operations.tables import LateSpellRow, PulseRow
from protocol.clock import now_time

log = structlog.get_logger()

PULSE: Final = "server"
_EVERY_SECONDS: Final = 1.0
_KEPT_SECONDS: Final = 1.0
"""However often a process asks how late the market was, the database is asked this seldom."""

_REMEMBERED_SECONDS: Final = 24 * 3600


class Listening:
    """Of one process."""

    def __init__(self, db: Database, silence_seconds: int, most_seconds: int) -> None:
        self._db = db
        #: a provider calls that often at least, and is noted no oftener
        self._apart_seconds = max(2, silence_seconds // 4)
        self._most_seconds = most_seconds
        #: monotonic seconds at which this process said so last
        self._said: float | None = None
        #: monotonic seconds at which it was read
        self._read = float("-inf")
        self._lateness = Lateness()

    async def keep_saying(self, stand_in_line: Callable[[], Awaitable[None]]) -> None:
        """For ever, on the event loop of a server."""
        while True:
            await stand_in_line()
            try:
                await self._db.written(self.note)
            except SQLAlchemyError as error:
                log.warning("pulse.lost", error=type(error).__name__)
            await asyncio.sleep(_EVERY_SECONDS)

    def note(self, session: Session) -> None:
        """A server takes calls now."""
        now, said = now_time(), self._said
        self._said = time.monotonic()
        row = session.get(PulseRow, PULSE, with_for_update=True)
        if row is None:
            session.merge(PulseRow(name=PULSE, heard_ms=now * 1000))
            return
        spell = spell_between(row.heard_ms // 1000, now, self._apart_seconds)
        # A clock that was set makes nobody late who has said so a moment ago.
        if spell is not None and (said is None or self._said - said > self._apart_seconds):
            self._remember(session, spell)
        row.heard_ms = now * 1000
        session.add(row)

    def lateness(self, session: Session) -> Lateness:
        """How late the market was, a moment ago."""
        now = time.monotonic()
        if now - self._read > _KEPT_SECONDS:
            self._lateness, self._read = self._found(session), now
        return self._lateness

    def _found(self, session: Session) -> Lateness:
        # Nobody is late in the future: what says so was written by a clock that was ahead.
        so_far = col(LateSpellRow.until_time) <= now_time() + self._apart_seconds
        rows = session.exec(select(LateSpellRow.from_time, LateSpellRow.until_time).where(so_far)).all()
        spells = [Spell(*row) for row in rows]
        newest = max((spell.until_time for spell in spells), default=0)
        heard_ms = session.exec(select(PulseRow.heard_ms).where(col(PulseRow.name) == PULSE)).first()
        if heard_ms is not None:
            lasting = spell_between(heard_ms // 1000, now_time(), self._apart_seconds)
            spells += [Spell(max(lasting.from_time, newest), lasting.until_time)] if lasting is not None else []
        return Lateness(spells=spells, most_seconds=self._most_seconds)

    def _remember(self, session: Session, spell: Spell) -> None:
        log.warning("market.late", seconds=spell.until_time - spell.from_time)
        session.exec(delete(LateSpellRow).where(col(LateSpellRow.until_time) < spell.until_time - _REMEMBERED_SECONDS))
        # Who was turned away or kept waiting calls again a moment later.
        until_time = spell.until_time + self._apart_seconds
        # One that follows another at once is the same: a market that is late for hours has one row.
        joins = (col(LateSpellRow.until_time) >= spell.from_time, col(LateSpellRow.until_time) <= until_time)
        before = session.exec(select(LateSpellRow).where(*joins)).first()
        row = before or LateSpellRow(from_time=spell.from_time, until_time=until_time)
        row.until_time = until_time
        session.add(row)
