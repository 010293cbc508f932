"""The house as `gridlease dev` runs it, behind nodes that fail; its processes can be killed, and armed to die."""

import contextlib
import os
import signal
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from gridlease.house import House
from gridlease.supervisor import Program
from protocol.rpc import Rpc
from tests.faults.faulty_node import FaultyNode
from tests.faults.jumping_clock import VARIABLE, jump
from tests.faults.market.plan import PROCESSES
from tests.faults.market.stacks import Stack

_ROOT: Final = Path(__file__).parents[3]
_SETTINGS: Final = {
    "GRIDLEASE_RPC_WS_URL": "none",
    "GRIDLEASE_FINALITY_BLOCKS": "8",
    "GRIDLEASE_NOTICE_SECONDS": "10",
    "GRIDLEASE_COUNTERSIGN_SECONDS": "5",
    "GRIDLEASE_REDEEM_AFTER_SECONDS": "1",
    "GRIDLEASE_REDEEM_WAIT_SECONDS": "1",
    "GRIDLEASE_REPLACE_AFTER_SECONDS": "2",
    "GRIDLEASE_WEBHOOKS_TO_PRIVATE": "true",
}
_CRASH_AT: Final = "GRIDLEASE_CRASH_AT"


class FaultyHouse(House):
    """No agents of its own: whoever plays the providers is not to be killed."""

    def __init__(self, folder: Path, stack: Stack) -> None:
        super().__init__(folder, port=0, broker_url=stack.broker.url, providers=(), settings=_SETTINGS)
        self._stack = stack
        self.rpc = Rpc(self.rpc_url)
        self.nodes = [FaultyNode(Rpc(self.rpc_url)), FaultyNode(Rpc(self.rpc_url))]
        #: signals and crash points by which processes have ended
        self.deaths: Counter[str] = Counter()
        self._clock = folder / "clock"
        self._programs: dict[str, Program] = {}
        #: the environment of each program's next life
        self._lives: dict[str, dict[str, str]] = {}
        self._armed: dict[str, tuple[int, str]] = {}
        self._tending = threading.Lock()

    @property
    def environment(self) -> dict[str, str]:
        path = (str(Path(__file__).parent / "clock"), str(_ROOT), os.environ.get("PYTHONPATH", ""))
        return (
            super().environment
            | self._stack.settings
            | {
                "GRIDLEASE_RPC_URL": ",".join(node.url for node in self.nodes),
                "PYTHONPATH": os.pathsep.join(path),
                VARIABLE: str(self._clock),
            }
        )

    def close(self) -> None:
        super().close()
        for node in self.nodes:
            node.close()

    def tend(self) -> None:
        """As `gridlease dev` does; who died at a crash point is not armed in the next life."""
        with self._tending:
            self.supervisor.tend()
            for name, (pid, point) in list(self._armed.items()):
                if self.supervisor.pid(name) != pid:
                    self._disarm(name)
                    self.deaths[point] += 1

    def kill(self, name: str) -> None:
        """With signal 9, and its children too; it is started again at once."""
        with self._tending:
            self._disarm(name)
            self._begin_again(name)
            self.deaths[name] += 1

    def arm(self, point: str, times: int) -> None:
        """The process that comes by there begins anew, and dies when it is there for so many times."""
        name = "serve" if point.startswith("voucher.") else "worker"
        with self._tending:
            self._disarm(name)
            self._lives[name][_CRASH_AT] = f"{point}:{times}"
            self._begin_again(name)
            self._armed[name] = (self.supervisor.pid(name), point)
            # It has read it by the time that it is needed again.
            self._lives[name].pop(_CRASH_AT)

    def is_armed(self) -> bool:
        return bool(self._armed)

    def pid(self, name: str) -> int:
        return self.supervisor.pid(name)

    def jump(self, seconds: int) -> None:
        """All clocks but the node's and the people's."""
        jump(self._clock, seconds)

    def heal(self) -> None:
        """Nodes are well, clocks right, nobody is armed."""
        for node in self.nodes:
            node.be_well()
        self.jump(0)
        with self._tending:
            for name in list(self._armed):
                self._disarm(name)
                self._begin_again(name)

    def _disarm(self, name: str) -> None:
        self._armed.pop(name, None)

    def _begin_again(self, name: str) -> None:
        # Without its database it may have ended by itself.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.supervisor.pid(name), signal.SIGKILL)
        # Nobody waits for its answer: what it needs may be away.
        self.supervisor.start(replace(self._programs[name], ready=lambda: True))

    def _command(self, name: str, *arguments: str, **options: Any) -> Program:
        program = super()._command(name, *arguments, **options)
        assert name in PROCESSES
        self._lives[name] = dict(program.environment)
        self._programs[name] = replace(program, environment=self._lives[name])
        return self._programs[name]
