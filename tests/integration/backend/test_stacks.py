"""One path on every stack: a job's row becomes one transaction on the node, while messages and brokers come and go."""

import time
from pathlib import Path

import pytest
from kombu import Connection

from backend.worker import create_worker
from tests.integration.backend.conftest import Stack
from tests.support.brokers import NODES
from tests.support.ledger_world import LedgerWorld
from tests.support.small_market import SmallMarket, small_market
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.node, pytest.mark.database, pytest.mark.broker]


def test_a_job_is_opened_once_whatever_becomes_of_messages_and_broker(
    stack: Stack, world: LedgerWorld, tmp_path: Path
) -> None:
    """Two workers with a beat each; rings come three times, then the broker is lost, then it comes back empty."""
    with small_market(tmp_path, world, stack.market_url, stack.broker.url) as made:
        for node in NODES:
            made.start_worker(node)
        first = made.post()
        ring(made, 3)
        made.opened(first)

        stack.broker.kill()
        wait_until(lambda: sweeps(made) > 0, 30)
        second = made.post()
        made.opened(second)

        stack.broker.start()
        wait_until(lambda: is_carried(made), 60)
        third = made.post()
        made.opened(third)
        for job in (first, second, third):
            assert len(made.openings(job)) == 1, "one step did it, once"
            assert len(made.leases(job)) == 1
        assert all(process.poll() is None for process in made.processes)


def ring(made: SmallMarket, times: int) -> None:
    """As a broker does that delivers a message again and again."""
    app = create_worker(made.market.settings)
    with Connection(app.conf.broker_url, transport_options=app.conf.broker_transport_options) as connection:
        for _ in range(times):
            app.send_task("market.step", connection=connection)


def sweeps(made: SmallMarket) -> int:
    """Steps that were done because no broker carried the question."""
    return sum(made.log(name).count("step.swept") for name in ("serve", *NODES))


def is_carried(made: SmallMarket) -> bool:
    """Steps are done for longer than a sweeper would wait, and by none."""
    before = sweeps(made)
    time.sleep(3)
    age_ms = made.step_age_ms()
    return sweeps(made) == before and age_ms is not None and age_ms < 3_000
