"""Crash points that are armed while processes run: a file names one, and whoever comes by dies of signal 9."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final

from backend import crash_points

VARIABLE: Final = "FAULTS_CRASH_POINT"
"""Names the file, in the environment of whoever can be killed."""


def arm(file: Path, point: str, times: int = 1) -> None:
    """The process that comes by there dies, when it or others have been there for so many times."""
    draft = file.with_name(f"{file.name}.{os.getpid()}.draft")
    draft.write_text(f"{point}:{times}")
    os.replace(draft, file)


def disarm(file: Path) -> None:
    """Nobody dies there any more."""
    file.unlink(missing_ok=True)


def is_armed(file: Path) -> bool:
    """Nobody has died there yet."""
    return file.exists()


def take_fallen(file: Path) -> list[tuple[int, str]]:
    """Process and crash point of each who has died, or is about to; told once."""
    fallen = []
    for mark in file.parent.glob(f"{file.name}.*.fallen"):
        fallen.append((int(mark.suffixes[-2][1:]), mark.read_text().partition(":")[0]))
        mark.unlink()
    return fallen


def install(file: Path) -> None:
    """For this process, and those that it forks, until they end."""

    def reach(name: str) -> None:
        with suppress(FileNotFoundError):
            point, _, times = file.read_text().partition(":")
            if point != name:
                return
            if int(times) > 1:
                arm(file, point, int(times) - 1)
                return
            # Of two who are here at once, one dies.
            os.rename(file, file.with_name(f"{file.name}.{os.getpid()}.fallen"))
            os.kill(os.getpid(), signal.SIGKILL)

    vars(crash_points).update(reach=reach)
