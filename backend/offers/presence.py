"""Which providers are alive: every call of theirs says so, and is not held up by being noted.

What was heard is written a moment later, for all providers at once. A process that dies meanwhile loses the moment.
"""

import asyncio
import time
from collections.abc import Iterable
from functools import partial
from typing import Final

import structlog
from sqlalchemy import bindparam, update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, select

from backend.db import Database
from backend.offers.tables import ProviderRow
from indexer import prepared
from protocol.clock import now_time
from protocol.hashing import Address

log = structlog.get_logger()

_GATHER_SECONDS: Final = 0.2
_HEARD: Final = select(ProviderRow.heard_time).where(col(ProviderRow.address) == bindparam("provider"))
"""Built once: every usage receipt asks it."""


def heard(session: Session, providers: Iterable[Address]) -> None:
    """The providers are alive."""
    who, now = set(providers), now_time()
    known = set(session.exec(select(ProviderRow.address).where(col(ProviderRow.address).in_(who))))
    session.connection().execute(update(ProviderRow).where(col(ProviderRow.address).in_(known)).values(heard_time=now))
    session.add_all(ProviderRow(address=provider, heard_time=now) for provider in who - known)


def hear_now(session: Session, provider: Address, silence_seconds: int) -> None:
    """For whoever judges in the same transaction: who is calling is not silent, though it was for long."""
    heard_time = prepared.value(session.connection(), _HEARD, {"provider": provider})
    if heard_time is None or not 0 <= now_time() - heard_time < silence_seconds // 4:
        session.merge(ProviderRow(address=provider, heard_time=now_time()))


class Presence:
    """Of one process, on its event loop."""

    def __init__(self, db: Database, silence_seconds: int) -> None:
        self._db = db
        #: to write it again any sooner would tell nobody anything: agents call every few seconds
        self._again_seconds = silence_seconds / 4
        #: monotonic seconds at which each was noted
        self._noted: dict[Address, float] = {}
        self._unwritten: set[Address] = set()
        self._writing: asyncio.Task[None] | None = None

    def hear(self, provider: Address) -> None:
        """The provider is alive."""
        now = time.monotonic()
        if now < self._noted.get(provider, -self._again_seconds) + self._again_seconds:
            return
        self._noted[provider] = now
        self._unwritten.add(provider)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        while self._unwritten:
            await asyncio.sleep(_GATHER_SECONDS)
            providers, self._unwritten = sorted(self._unwritten), set()
            try:
                await self._db.written(partial(heard, providers=providers), is_first=True)
            except SQLAlchemyError as error:
                log.warning("presence.lost", providers=len(providers), error=type(error).__name__)
                for one in providers:
                    # Heard anew, it is written anew.
                    self._noted.pop(one, None)
            late = time.monotonic() - self._again_seconds
            self._noted = {one: at for one, at in self._noted.items() if at > late}
