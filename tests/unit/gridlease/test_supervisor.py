"""A process that lives and gives no sign is ended and started again."""

import os
import signal
import sys
from pathlib import Path

import pytest

from gridlease import supervisor
from gridlease.supervisor import Program, Supervisor
from tests.support.waiting import wait_until

_TOUCHES = "import pathlib, sys, time\nwhile True:\n pathlib.Path(sys.argv[1]).touch()\n time.sleep(0.05)"


def test_a_stopped_process_is_replaced_and_one_that_touches_its_file_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_SILENCE_SECONDS", 3.0)
    pulse = tmp_path / "pulse"
    house = Supervisor(tmp_path / "logs")
    program = Program(
        name="worker", arguments=(sys.executable, "-c", _TOUCHES, str(pulse)), ready=pulse.exists, pulse_file=pulse
    )
    house.start(program)
    try:
        first = house.pid("worker")
        house.tend()
        assert house.pid("worker") == first
        os.kill(first, signal.SIGSTOP)

        def replaced() -> bool:
            house.tend()
            return house.pid("worker") != first

        wait_until(replaced, 30)
        second = house.pid("worker")
        house.tend()
        assert house.pid("worker") == second
    finally:
        house.stop()
