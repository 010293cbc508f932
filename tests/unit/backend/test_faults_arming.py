"""Crash points of processes that run already: one dies there, once, and it is known who."""

import signal
import subprocess
import sys
from pathlib import Path

from tests.faults.market import arming

_REACHES_TWICE = """
import sys
from pathlib import Path
from backend import crash_points
from tests.faults.market import arming
arming.install(Path(sys.argv[1]))
crash_points.reach("batch.chosen")
crash_points.reach("attempt.stored")
print("passed once", flush=True)
crash_points.reach("attempt.stored")
print("passed twice", flush=True)
"""


def _reach_twice(file: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", _REACHES_TWICE, str(file)], capture_output=True, text=True, check=False, timeout=60
    )


def test_whoever_is_the_second_at_an_armed_point_dies_there_and_nobody_after_it(tmp_path: Path) -> None:
    file = tmp_path / "crash-point"
    arming.arm(file, "attempt.stored", 2)
    ended = _reach_twice(file)
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, "passed once\n"), ended.stderr
    assert not arming.is_armed(file)
    assert [point for _, point in arming.take_fallen(file)] == ["attempt.stored"]
    assert arming.take_fallen(file) == []
    assert _reach_twice(file).returncode == 0


def test_a_point_that_was_disarmed_kills_nobody(tmp_path: Path) -> None:
    file = tmp_path / "crash-point"
    arming.arm(file, "batch.chosen")
    arming.disarm(file)
    ended = _reach_twice(file)
    assert (ended.returncode, arming.take_fallen(file)) == (0, []), ended.stderr
