"""kill -9 of each process in the middle of the job, and a reorg of depth 5: the work ends, nothing is paid twice."""

import contextlib
import os
import signal
import time

import psutil
import pytest

from client.sdk import Client
from gridlease.house import House
from indexer.queries import Mirror
from protocol.events import LeaseState
from protocol.hashing import from_hex
from protocol.rpc import Rpc
from protocol.units import earned_down
from protocol.wire.jobs import ENDED, Job
from tests.support.stories import GOLDEN, command, settled, training, until

pytestmark = [pytest.mark.node, pytest.mark.timeout(400)]


def _agent_of(house: House, client: Client, job: Job) -> str:
    """The agent whose zone the job's lease names."""
    zone = client.job(job.id).leases[-1].zone
    return "agent-solar-barn" if zone == "DE" else "agent-campus-night"


@pytest.mark.parametrize("victim", ["serve", "worker", "indexer", "agent"])
def test_a_killed_process_comes_back_and_the_job_is_paid_once(house: House, victim: str) -> None:
    with house.client() as client:
        bought = client.submit(training(client), max_price="0.05")
        until(lambda: client.job(bought.id).segments.done >= 3, 60, "three segments")
        name = _agent_of(house, client, bought) if victim == "agent" else victim
        before = house.supervisor.pid(name)
        os.kill(before, signal.SIGKILL)
        until(lambda: house.supervisor.pid(name) != before, 20, f"{name} to be started again")
        assert _living_in_group(before) == [], "its own children went with it"
        ended = client.wait(bought.id, timeout_seconds=120)
        assert ended.state == "succeeded", ended.failure
        assert ended.result is not None
        assert ended.result.result_hash == GOLDEN["train"]["result_hash"]
        job = settled(client, bought.id)
    _paid_once(house, job)
    verdict = command(house, "indexer", "verify")
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


def _living_in_group(group: int) -> list[str]:
    """Command lines of the processes in a group that are more than an entry nobody has read yet."""
    living = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                living.append(" ".join(process.cmdline()))
    return living


def _paid_once(house: House, job: Job) -> None:
    """One fill, closed, paid exactly what its work earned; payments add up to what the lease has paid."""
    mirror = Mirror(house.environment["GRIDLEASE_MIRROR_URL"])
    (lease,) = mirror.leases(order=from_hex(job.order, 32))
    assert lease.state is LeaseState.CLOSED
    assert lease.paid_base == earned_down(lease.meter, lease.rate, job.work)
    assert sum(payment.amount_base for payment in mirror.payments(lease=lease.lease)) == lease.paid_base


def test_after_a_reorg_of_depth_five_the_dropped_transactions_are_sent_again(house: House) -> None:
    with house.client() as client:
        job = settled(client, client.run(training(client), timeout_seconds=120, max_price="0.05").job.id)
        epoch = Mirror(house.environment["GRIDLEASE_MIRROR_URL"]).status().reorg_epoch
        with Rpc(house.rpc_url) as rpc:
            rpc.call("anvil_reorg", 5, [])
        mirror = Mirror(house.environment["GRIDLEASE_MIRROR_URL"])
        until(lambda: mirror.status().reorg_epoch > epoch, 30, "the mirror to roll back")
        time.sleep(3)
        again = settled(client, job.id)
    _paid_once(house, again)
    verdict = command(house, "indexer", "verify")
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


def test_a_cancelled_job_pays_what_was_vouched_for_and_returns_the_rest(house: House) -> None:
    with house.client() as client:
        bought = client.submit(training(client), max_price="0.05")
        until(lambda: client.job(bought.id).segments.done >= 2, 60, "two segments")
        client.cancel(bought)
        job = settled(client, bought.id)
    assert job.state == "canceled"
    assert job.state in ENDED
    mirror = Mirror(house.environment["GRIDLEASE_MIRROR_URL"])
    (lease,) = mirror.leases(order=from_hex(job.order, 32))
    assert lease.paid_base == job.cost_base
    assert lease.paid_base + lease.refunded_base == lease.locked_base
