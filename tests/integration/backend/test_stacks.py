"""One path on every stack: a job's row becomes one transaction on the node, while messages and brokers come and go."""

import time
from pathlib import Path

import pytest
from kombu import Connection
from sqlmodel import select

from backend.jobs.tables import JobRow
from backend.operations import trail
from backend.worker import create_worker
from protocol.wire.jobs import Job
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

        # One that finds no broker at its start ends, for its platform to start it again; here nobody would.
        wait_until(lambda: all(" ready." in made.log(node) for node in NODES), 60)
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
        leads_from_request_to_transaction(made, third)
        tells_no_secret(made, stack)
        assert all(process.poll() is None for process in made.processes)


def ring(made: SmallMarket, times: int) -> None:
    """As a broker does that delivers a message again and again."""
    app = create_worker(made.market.settings)
    with Connection(app.conf.broker_url, transport_options=app.conf.broker_transport_options) as connection:
        for _ in range(times):
            app.send_task("market.step", connection=connection)


def leads_from_request_to_transaction(made: SmallMarket, job: Job) -> None:
    """The id of the HTTP request is in the log line of the transaction that it led to, and in the rows."""
    # Which of a transaction's attempts it is, its block says.
    wait_until(lambda: made.openings(job)[0].tx_hash is not None, 60)
    (opening,) = made.openings(job)
    with made.market.db.read() as session:
        request_id = session.get_one(JobRow, job.id).request_id
        assert request_id is not None
        steps = trail.follow(session, request_id)
    assert [(step.job_id, step.intent, step.tx_hash) for step in steps] == [(job.id, "open", opening.tx_hash)]
    (signed,) = [event for event in made.events("attempt.signed") if event["tx_hash"] == opening.tx_hash]
    assert request_id in signed["requests"]


def tells_no_secret(made: SmallMarket, stack: Stack) -> None:
    """Neither keys nor credentials are in any log of the run, at the most talkative level."""
    settings = made.market.settings
    secrets = [made.api_key, settings.seed_file.read_text().strip(), settings.submission_key_file.read_text().strip()]
    with made.market.db.read() as session:
        secrets += [job.order_signature for job in session.exec(select(JobRow)).all()]
    if "@" in stack.broker.url:
        secrets.append(stack.broker.url.split("//")[1].split("@")[0])
    for name in ("serve", *NODES):
        for secret in secrets:
            assert secret.removeprefix("0x") not in made.log(name), name


def sweeps(made: SmallMarket) -> int:
    """Steps that were done because no broker carried the question."""
    return sum(made.log(name).count("step.swept") for name in ("serve", *NODES))


def is_carried(made: SmallMarket) -> bool:
    """Steps are done for longer than a sweeper would wait, and by none."""
    before = sweeps(made)
    time.sleep(3)
    age_ms = made.step_age_ms()
    return sweeps(made) == before and age_ms is not None and age_ms < 3_000
