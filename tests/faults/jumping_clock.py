"""A clock that jumps: `protocol.clock`, which alone reads the time, is ahead or behind by what a file says."""

import os
import time
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import protocol.clock

VARIABLE: Final = "FAULTS_CLOCK"
"""Names the file, in the environment of whose clock jumps."""


def jump(file: Path, seconds: int) -> None:
    """From now on the clock is that far ahead, behind where negative."""
    draft = file.with_suffix(".draft")
    draft.write_text(str(seconds))
    os.replace(draft, file)


def install(file: Path) -> None:
    """For this process, and until it ends."""

    def ahead_seconds() -> int:
        return int(file.read_text()) if file.exists() else 0

    class Jumping(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(seconds=ahead_seconds())

    jumping = SimpleNamespace(
        time=lambda: time.time() + ahead_seconds(),
        time_ns=lambda: time.time_ns() + 10**9 * ahead_seconds(),
    )
    # What it imports, so that whoever has imported its functions has the other clock too.
    vars(protocol.clock).update(time=jumping, datetime=Jumping)
