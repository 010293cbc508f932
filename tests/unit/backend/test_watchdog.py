"""A worker that lives and does nothing ends itself; one that works, or whose broker is away, does not."""

import threading
from pathlib import Path

from backend.operations.watchdog import CANARY_SECONDS, SILENCE_SECONDS, TASK_SECONDS, Vigil, Watchdog
from tests.support.waiting import wait_until


def test_a_worker_whose_canaries_are_heard_is_well() -> None:
    vigil = Vigil()
    for now in range(0, 600, int(CANARY_SECONDS)):
        vigil.sent(now)
        vigil.heard()
        assert vigil.fault(now + CANARY_SECONDS) is None


def test_a_canary_unheard_for_thirty_seconds_is_a_fault() -> None:
    vigil = Vigil()
    vigil.sent(100)
    vigil.sent(110)
    assert vigil.fault(100 + SILENCE_SECONDS) is None
    assert "no message" in str(vigil.fault(101 + SILENCE_SECONDS))
    vigil.heard()
    assert vigil.fault(1_000) is None


def test_a_broker_that_takes_no_canary_is_no_fault_of_the_worker() -> None:
    vigil = Vigil()
    vigil.sent(0)
    vigil.heard()
    assert vigil.fault(10_000) is None


def test_silence_during_a_task_does_not_count_and_a_task_over_its_time_does() -> None:
    vigil = Vigil()
    vigil.sent(5)
    vigil.began(10)
    vigil.sent(15)
    assert vigil.fault(10 + TASK_SECONDS) is None
    assert "a task has run" in str(vigil.fault(11 + TASK_SECONDS))
    vigil.ended(60)
    assert vigil.fault(64) is None, "five seconds of silence before the task, and four after"
    assert vigil.fault(60 + SILENCE_SECONDS) is not None


def test_the_process_is_ended_once_there_is_a_fault_and_says_that_it_is_well_until_then(tmp_path: Path) -> None:
    now, ended, pulse = [0.0], threading.Event(), tmp_path / "pulse"
    dog = Watchdog(end=ended.set, now=lambda: now[0])
    dog.look(pulse)
    assert pulse.exists()
    pulse.unlink()
    dog.vigil.sent(0)
    now[0] = SILENCE_SECONDS + 1
    dog.look(pulse)
    assert ended.is_set()
    assert not pulse.exists()


def test_it_looks_while_a_broker_holds_the_canary(tmp_path: Path) -> None:
    held, pulse = threading.Event(), tmp_path / "pulse"

    def send() -> bool:
        return held.wait()

    dog = Watchdog(end=lambda: None)
    dog.start(send, pulse)
    try:
        wait_until(pulse.exists)
    finally:
        held.set()
        dog.stop()
