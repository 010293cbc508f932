"""What a house stands on, and how it is taken away: files and folders, or servers."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Final, Protocol

import redis

from backend.wake import QUEUE
from tests.support.brokers import Broker, FolderBroker, RedisBroker
from tests.support.gate import Gate
from tests.support.postgres import Postgres, running_postgres

_COMMIT_SECONDS: Final = 3.0


class Stack(Protocol):
    """One of them; `settings` are the house's."""

    @property
    def settings(self) -> dict[str, str]: ...

    @property
    def broker(self) -> Broker: ...

    def take_messages(self) -> list[bytes]:
        """All that wait; they are gone."""

    def put_messages(self, messages: list[bytes]) -> None:
        """In that order, behind those that wait."""

    def kill_database(self, kill: Callable[[str], None], dice: Random) -> None:
        """In the middle of a commit, and it is there again; where it is a file, `kill` ends who writes it."""


class Embedded:
    """SQLite and the folder broker, below the house's folder."""

    def __init__(self, folder: Path) -> None:
        self.settings: dict[str, str] = {}
        self._folder = folder
        self._queue = folder / "broker" / "queue"
        self.broker = FolderBroker(folder / "broker")
        self._last_ms = 0

    def take_messages(self) -> list[bytes]:
        taken = []
        for path in sorted(self._queue.glob("*.msg")):
            # A worker may be quicker.
            with suppress(OSError):
                taken.append(path.read_bytes())
                path.unlink()
        return taken

    def put_messages(self, messages: list[bytes]) -> None:
        for body in messages:
            # Readers take them in the order of their names.
            self._last_ms = max(self._last_ms + 1, time.monotonic_ns() // 1_000_000)
            draft = self._queue / ".again.draft"
            with suppress(OSError):
                draft.write_bytes(body)
                os.replace(draft, self._queue / f"{self._last_ms}_again.{QUEUE}.msg")

    def kill_database(self, kill: Callable[[str], None], dice: Random) -> None:
        log = self._folder / "market.db-wal"
        before, deadline = _state_of(log), time.monotonic() + _COMMIT_SECONDS
        while _state_of(log) == before and time.monotonic() < deadline:
            time.sleep(0)
        time.sleep(dice.random() * 0.002)
        for name in ("serve", "worker"):
            kill(name)


def _state_of(path: Path) -> tuple[int, int]:
    """Zeros where there is no log: whoever closes the database last takes it away."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


class Scaled:
    """PostgreSQL behind a gate, and Redis."""

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self._gate = Gate(server.port)
        self._gate.open()
        through = {server.new_database(): name for name in ("market", "mirror")}
        self.settings = {
            f"GRIDLEASE_{name.upper()}_URL": url.replace(f":{server.port}/", f":{self._gate.port}/")
            for url, name in through.items()
        }
        self.broker = RedisBroker()
        self.broker.start()

    def close(self) -> None:
        self._gate.shut()
        self.broker.close()

    def take_messages(self) -> list[bytes]:
        with redis.Redis.from_url(self.broker.url) as client, client.pipeline() as both:
            # What waits longest is at the end.
            waiting, _ = both.lrange(QUEUE, 0, -1).delete(QUEUE).execute()
            return list(reversed(waiting))

    def put_messages(self, messages: list[bytes]) -> None:
        with redis.Redis.from_url(self.broker.url) as client:
            for body in messages:
                client.lpush(QUEUE, body)

    def kill_database(self, kill: Callable[[str], None], dice: Random) -> None:
        cuts, deadline = self._gate.cuts, time.monotonic() + _COMMIT_SECONDS
        self._gate.cut_at(b"COMMIT", after=dice.random() < 0.5)
        while self._gate.cuts == cuts and time.monotonic() < deadline:
            time.sleep(0.001)
        self._server.crash()
        time.sleep(dice.uniform(0.1, 1))
        self._server.restart()


@contextmanager
def standing(name: str, folder: Path) -> Iterator[Stack]:
    """The stack of that name until the block ends."""
    if name == "embedded":
        yield Embedded(folder)
        return
    with running_postgres("fsync=off", "full_page_writes=off") as server:
        stack = Scaled(server)
        try:
            yield stack
        finally:
            stack.close()


NAMES: Final = ("embedded", "postgres-redis")
