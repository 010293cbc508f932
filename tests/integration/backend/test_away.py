"""Neighbours that go away in the middle: a database, and the server itself. What was promised holds afterwards."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from sqlalchemy import make_url
from sqlmodel import col, func, select

from backend.jobs.tables import IdempotencyRow, JobRow
from protocol.errors import GridleaseError
from protocol.wire.jobs import Job
from tests.support.gate import Gate
from tests.support.ledger_world import LedgerWorld
from tests.support.postgres import running_postgres
from tests.support.small_market import SmallMarket, small_market
from tests.support.stories import training
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.node, pytest.mark.database]


def test_a_database_that_is_cut_off_or_killed_in_a_commit_loses_nothing_and_doubles_nothing(
    world: LedgerWorld, tmp_path: Path
) -> None:
    """Whether the cut commit was one, the Idempotency-Key tells: the request is sent until it is answered."""
    with running_postgres() as server:
        gate = Gate(server.port)
        gate.open()
        url = make_url(server.new_database()).set(port=gate.port).render_as_string(hide_password=False)
        with small_market(tmp_path, world, url, f"filesystem://{tmp_path}/broker") as made:
            made.start_worker("one")
            jobs = []
            for number, after in enumerate((True, False)):
                before = gate.cuts
                gate.cut_at(b"COMMIT", after=after)
                jobs.append(insist(made, f"cut {number}"))
                wait_until(lambda before=before: gate.cuts > before)  # type: ignore[misc]
            server.crash()
            refused = httpx.get(f"{made.url}/v1/jobs", headers={"Authorization": f"Bearer {made.api_key}"}, timeout=30)
            assert (refused.status_code, refused.json()["code"]) == (503, "database_away")
            server.restart()
            jobs.append(insist(made, "while it is away"))
            for job in jobs:
                made.opened(job)
                assert len(made.openings(job)) == 1
            with made.market.db.read() as session:
                assert session.exec(select(func.count()).select_from(JobRow)).one() == len(jobs)
                keys = session.exec(select(IdempotencyRow.job_id).order_by(col(IdempotencyRow.id))).all()
            assert sorted(keys) == sorted(job.id for job in jobs)
            assert all(process.poll() is None for process in made.processes), "nobody died of it"
        gate.shut()


def insist(made: SmallMarket, key: str) -> Job:
    """Posts until there is an answer, as every buyer should."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return made.post(idempotency_key=key)
        except GridleaseError as error:
            # A HEAD of a file has no body to name the reason in.
            assert error.code in ("database_away", "http_503"), error
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_a_worker_that_is_stopped_finishes_its_step_and_a_server_answers_what_it_has_begun(
    world: LedgerWorld, tmp_path: Path
) -> None:
    with small_market(tmp_path, world, f"sqlite:///{tmp_path}/market.db", f"filesystem://{tmp_path}/broker") as made:
        (server,) = made.processes
        worker = made.start_worker("one")
        opened = made.post()
        wait_until(lambda: bool(made.step_age_ms()), 40)
        os.kill(worker.pid, signal.SIGTERM)
        assert worker.wait(40) == 0
        made.opened(opened)
        assert len(made.openings(opened)) == 1, "no step was torn"
        manifest = training(made.client)
        headers = {"Authorization": f"Bearer {made.api_key}", "Idempotency-Key": "one", "Prefer": "wait=60"}
        body = {"manifest": manifest, "max_price": "0.05"}
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(httpx.post, f"{made.url}/v1/jobs", json=body, headers=headers, timeout=60)
            wait_until(lambda: len(made.client.list_jobs().data) == 2)
            begun = time.monotonic()
            os.kill(server.pid, signal.SIGTERM)
            answer = waiting.result(30)
        assert answer.status_code == 202, answer.text
        assert answer.json()["state"] in ("queued", "matched")
        server.wait(30)
        assert time.monotonic() - begun < 50, "it did not wait for the job"
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{made.url}/livez")
