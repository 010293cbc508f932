"""A grid fails in the middle of the job: the other zone goes on from the last paid checkpoint to the same result."""

import os
import signal
from contextlib import suppress

import psutil
import pytest

from gridlease.house import House
from indexer.queries import Mirror
from protocol.events import EndReason
from protocol.hashing import from_hex
from protocol.units import earned_down
from tests.support.stories import GOLDEN, training, until

pytestmark = [pytest.mark.node, pytest.mark.timeout(300)]


def test_a_silent_provider_loses_the_lease_and_its_successor_resumes_to_the_golden_result(house: House) -> None:
    with house.client() as client:
        bought = client.submit(training(client), max_price="0.05")
        until(lambda: client.job(bought.id).segments.done >= 3, 90, "three segments")
        name = "agent-solar-barn" if client.job(bought.id).leases[-1].zone == "DE" else "agent-campus-night"
        agent = psutil.Process(house.supervisor.pid(name))
        frozen = [agent, *agent.children(recursive=True)]
        for process in frozen:
            os.kill(process.pid, signal.SIGSTOP)
        try:
            ended = client.wait(bought.id, timeout_seconds=150)
        finally:
            for process in frozen:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGCONT)
        assert ended.state == "succeeded", ended.failure
        assert ended.result is not None
        assert ended.result.result_hash == GOLDEN["train"]["result_hash"]
        assert ended.work == int(GOLDEN["train"]["work"])
    mirror = Mirror(house.environment["GRIDLEASE_MIRROR_URL"])
    first, second = sorted(mirror.leases(order=from_hex(ended.order, 32)), key=lambda lease: lease.fill)
    assert first.reason is EndReason.UNRESPONSIVE
    assert first.zone != second.zone
    # Each is paid for its own segments: together not more than one provider would have earned, rounding aside.
    whole = earned_down(first.meter, max(first.rate, second.rate), ended.work)
    assert 0 < ended.cost_base <= whole
