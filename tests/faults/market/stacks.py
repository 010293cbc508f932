"""What a house stands on, and how it is taken away: files and folders, or servers."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Final, Protocol

from tests.faults.market.messages import FolderMessages, Messages, RabbitMessages, RedisMessages
from tests.support.brokers import Broker, FolderBroker, RabbitBroker, RedisBroker, rabbit_server
from tests.support.gate import Gate
from tests.support.postgres import Postgres, running_postgres

_COMMIT_SECONDS: Final = 3.0


class Stack(Protocol):
    """One of them; `settings` are the house's."""

    @property
    def settings(self) -> dict[str, str]: ...

    @property
    def broker(self) -> Broker: ...

    @property
    def messages(self) -> Messages: ...

    def kill_database(self, kill: Callable[[str], None], dice: Random) -> None:
        """In the middle of a commit, and it is there again; where it is a file, `kill` ends who writes it."""


class Embedded:
    """SQLite and the folder broker, below the house's folder."""

    def __init__(self, folder: Path) -> None:
        self.settings: dict[str, str] = {}
        self._folder = folder
        self.broker = FolderBroker(folder / "broker")
        self.messages = FolderMessages(folder / "broker")

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
    """PostgreSQL behind a gate, and a broker of its own."""

    def __init__(self, server: Postgres, broker: Broker, messages: Messages) -> None:
        self._server = server
        self.broker, self.messages = broker, messages
        self._gate = Gate(server.port)
        self._gate.open()
        through = {server.new_database(): name for name in ("market", "mirror")}
        self.settings = {
            f"GRIDLEASE_{name.upper()}_URL": url.replace(f":{server.port}/", f":{self._gate.port}/")
            for url, name in through.items()
        }
        self.broker.start()

    def close(self) -> None:
        self._gate.shut()

    def kill_database(self, kill: Callable[[str], None], dice: Random) -> None:
        cuts, deadline = self._gate.cuts, time.monotonic() + _COMMIT_SECONDS
        self._gate.cut_at(b"COMMIT", after=dice.random() < 0.5)
        while self._gate.cuts == cuts and time.monotonic() < deadline:
            time.sleep(0.001)
        # Where nobody committed, nobody shall be cut later.
        self._gate.cut_at(None)
        self._server.crash()
        time.sleep(dice.uniform(0.1, 1))
        self._server.restart()


@contextmanager
def standing(name: str, folder: Path, rabbit: RabbitBroker | None = None) -> Iterator[Stack]:
    """The stack of that name until the block ends; `rabbit`: one that is there already, and is left there."""
    if name == "embedded":
        yield Embedded(folder)
        return
    with ExitStack() as stack:
        server = stack.enter_context(running_postgres("fsync=off", "full_page_writes=off"))
        if name == "postgres-redis":
            redis = RedisBroker()
            stack.callback(redis.close)
            scaled = Scaled(server, redis, RedisMessages(redis.url))
        else:
            if rabbit is None:
                if rabbit_server() is None:
                    raise RuntimeError("rabbitmq-server is not installed: run `make setup-system`")
                rabbit = RabbitBroker()
                stack.callback(rabbit.close)
            scaled = Scaled(server, rabbit, RabbitMessages(rabbit.direct_url))
        stack.callback(scaled.close)
        yield scaled


NAMES: Final = ("embedded", "postgres-redis", "postgres-rabbitmq")
