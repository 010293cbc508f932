"""What this machine has, as the lanes of an offer. Rounded down: an offer must not promise what is not there."""

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from protocol.resources import LANE_MAX, Quantities

_GIB: Final = 1024**3
_SPARE_MEMORY_BYTES: Final = 512 * 1024**2
"""Left to the system and the agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The facts that an offer is made of."""

    cpus: int
    #: bytes that are free now, less what the system needs
    memory_bytes: int
    #: bytes free where the agent's folder is
    disk_bytes: int
    #: for people, such as `x86_64 Linux`
    description: str

    def quantities(self) -> Quantities:
        """The lanes; a machine too large for a lane offers the lane's most."""
        return Quantities(
            cpu_eighths=min(LANE_MAX, 8 * self.cpus),
            memory_quarter_gib=min(LANE_MAX, 4 * self.memory_bytes // _GIB),
            disk_gib=min(LANE_MAX, self.disk_bytes // _GIB),
        )


def detect(folder: Path) -> Machine:
    """Looks at this machine."""
    available = psutil.virtual_memory().available
    return Machine(
        cpus=psutil.cpu_count(logical=True) or 1,
        memory_bytes=max(0, available - _SPARE_MEMORY_BYTES),
        disk_bytes=psutil.disk_usage(str(folder)).free,
        description=f"{platform.machine()} {platform.system()}",
    )
