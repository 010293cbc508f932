"""The house as `gridlease dev` runs it, behind nodes that fail; its processes can be killed, and armed to die."""

import contextlib
import os
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

from gridlease.house import House
from gridlease.supervisor import Program, Supervisor
from protocol.rpc import Rpc
from tests.faults import jumping_clock
from tests.faults.faulty_node import FaultyNode
from tests.faults.market import arming
from tests.faults.market.forks import Forks
from tests.faults.market.plan import PROCESSES
from tests.faults.market.stacks import Stack

_ROOT: Final = Path(__file__).parents[3]
_SETTINGS: Final = {
    "GRIDLEASE_RPC_WS_URL": "none",
    "GRIDLEASE_FINALITY_BLOCKS": "8",
    "GRIDLEASE_NOTICE_SECONDS": "10",
    "GRIDLEASE_COUNTERSIGN_SECONDS": "2",
    "GRIDLEASE_REDEEM_AFTER_SECONDS": "1",
    "GRIDLEASE_REDEEM_WAIT_SECONDS": "1",
    "GRIDLEASE_REPLACE_AFTER_SECONDS": "2",
    "GRIDLEASE_WEBHOOKS_TO_PRIVATE": "true",
}
_GONE_SECONDS: Final = 10.0


class _Supervisor(Supervisor):
    """Its programs are forks, but for the node."""

    forks: Forks | None = None

    def _spawn(self, program: Program) -> "subprocess.Popen[bytes]":
        if program.name not in PROCESSES:
            return super()._spawn(program)
        assert self.forks is not None
        life = self.forks.start(program.arguments[3:], self._log_path(program))
        return cast("subprocess.Popen[bytes]", life)

    def wait_for_end(self, name: str, seconds: float) -> None:
        """Its port and its locks are free then."""
        self._children[name].process.wait(seconds)


class FaultyHouse(House):
    """No agents of its own: whoever plays the providers is not to be killed."""

    def __init__(self, folder: Path, stack: Stack) -> None:
        super().__init__(folder, port=0, broker_url=stack.broker.url, providers=(), settings=_SETTINGS)
        self.supervisor: _Supervisor = _Supervisor(self.folder / "logs")
        self._stack = stack
        self.rpc = Rpc(self.rpc_url)
        self.nodes = [FaultyNode(Rpc(self.rpc_url)), FaultyNode(Rpc(self.rpc_url))]
        #: signals and crash points by which processes have ended
        self.deaths: Counter[str] = Counter()
        self._clock, self._crash_point = folder / "clock", folder / "crash-point"
        self._programs: dict[str, Program] = {}
        self._tending = threading.Lock()

    @property
    def environment(self) -> dict[str, str]:
        path = (str(Path(__file__).parent / "habits"), str(_ROOT), os.environ.get("PYTHONPATH", ""))
        return (
            super().environment
            | self._stack.settings
            | {
                "GRIDLEASE_RPC_URL": ",".join(node.url for node in self.nodes),
                "PYTHONPATH": os.pathsep.join(path),
                jumping_clock.VARIABLE: str(self._clock),
                arming.VARIABLE: str(self._crash_point),
            }
        )

    def close(self) -> None:
        super().close()
        if self.supervisor.forks is not None:
            self.supervisor.forks.close()
        for node in self.nodes:
            node.close()

    def tend(self) -> None:
        """As `gridlease dev` does; but who died at a crash point begins again at once, however often."""
        with self._tending:
            for pid, point in arming.take_fallen(self._crash_point):
                self.deaths[point] += 1
                for name in PROCESSES:
                    if self.supervisor.pid(name) == pid:
                        self._begin_again(name)
            self.supervisor.tend()

    def kill(self, name: str) -> None:
        """With signal 9, and its children too; it is started again at once."""
        with self._tending:
            self._begin_again(name)
            self.deaths[name] += 1

    @contextlib.contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """It alone does nothing meanwhile, what it has started goes on."""
        pid = self.supervisor.pid(name)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def arm(self, point: str, times: int) -> None:
        """Whoever comes by there dies, when somebody has been there for so many times."""
        arming.arm(self._crash_point, point, times)

    def is_armed(self) -> bool:
        return arming.is_armed(self._crash_point)

    def pid(self, name: str) -> int:
        return self.supervisor.pid(name)

    def jump(self, seconds: int) -> None:
        """All clocks but the node's and the people's."""
        jumping_clock.jump(self._clock, seconds)

    def heal(self) -> None:
        """Nodes are well, clocks right, nobody is armed."""
        for node in self.nodes:
            node.be_well()
        self.jump(0)
        arming.disarm(self._crash_point)

    def _begin_again(self, name: str) -> None:
        # Without its database it may have ended by itself.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.supervisor.pid(name), signal.SIGKILL)
        self.supervisor.wait_for_end(name, _GONE_SECONDS)
        # Nobody waits for its answer: what it needs may be away.
        self.supervisor.start(replace(self._programs[name], ready=lambda: True))

    def _clear(self) -> None:
        super()._clear()
        self.supervisor.log_folder.mkdir(exist_ok=True)
        self.supervisor.forks = Forks(self.environment, self.supervisor.log_folder / "forks.log")

    def _command(self, name: str, *arguments: str, **options: Any) -> Program:
        self._programs[name] = super()._command(name, *arguments, **options)
        return self._programs[name]
