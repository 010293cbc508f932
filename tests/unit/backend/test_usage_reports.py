"""What a provider reports counts, however long it was not heard before."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from sqlmodel import Session, select

from backend.accounts.service import Principal
from backend.errors import LeaseNotRunning
from backend.jobs.pinning import pin_lease
from backend.jobs.tables import JobRow
from backend.leases.acting import sweep
from backend.leases.ending import report_failure
from backend.leases.reading import read
from backend.leases.receiving import report_usage
from backend.leases.tables import LeaseIntention
from backend.offers.tables import ProviderRow
from protocol.clock import now_time
from protocol.events import EndReason
from protocol.hashing import to_hex
from protocol.manifest import Manifest
from protocol.wire.leases import UsageReport
from tests.support.databases import Database
from tests.support.paper_market import PROVIDER, PaperMarket, manifest, paper_market
from tests.support.usage_reports import EARNED_BASE, countersigned, only_segment

_WAITING_SECONDS: Final = 0.5
_LONGEST_SECONDS: Final = 20


@dataclass
class _Running:
    """A lease of PROVIDER under which one segment is left to report."""

    paper: PaperMarket
    manifest: Manifest
    lease: bytes

    def report(self) -> dict[str, Any]:
        return only_segment(self.paper, self.manifest, self.lease)

    def report_in(self, session: Session) -> Any:
        """As the route does."""
        caller = Principal(PROVIDER.address, None)
        market, report = self.paper.market, UsageReport.model_validate(self.report())
        return report_usage(session, market, caller, to_hex(self.lease), read(market.domain, report))

    def post(self, body: dict[str, Any]) -> httpx.Response:
        async def post() -> httpx.Response:
            async with self.paper.http(self.paper.session_of(PROVIDER)) as http:
                return await http.post(f"/v1/provider/leases/{to_hex(self.lease)}/usage-receipts", json=body)

        return asyncio.run(post())

    def countersignature(self) -> str | None:
        with self.paper.market.db.read() as session:
            return session.exec(select(LeaseIntention.countersignature)).one()

    def found(self) -> tuple[str, int]:
        """The job's state, and why its lease is to be closed."""
        with self.paper.market.db.read() as session:
            return session.exec(select(JobRow.state)).one(), session.exec(select(LeaseIntention.closing_reason)).one()


@pytest.fixture
def running(tmp_path: Path, database: Database) -> Iterator[_Running]:
    with paper_market(tmp_path, database) as paper:
        job = Manifest.parse({**manifest(), "verify": "none"})
        spelt, job_hash = json.dumps(job.model_dump(mode="json")), to_hex(job.job_hash())
        paper.add_job("job_1", state="matched", segments_total=1, manifest=spelt, job_hash=job_hash)
        lease = paper.propose("job_1")
        paper.stored.grow([[paper.opened("job_1")]])
        with paper.market.db.write() as session:
            session.merge(ProviderRow(address=PROVIDER.address, heard_time=now_time() - 3600))
        yield _Running(paper, job, lease)


def test_a_provider_that_was_silent_for_long_is_not_given_up_by_its_own_report(running: _Running) -> None:
    answer = running.post(running.report())
    assert answer.status_code == 200, answer.text
    assert answer.json()["voucher"]["last"]
    assert running.found() == ("succeeded", 0)


def test_a_countersignature_of_the_voucher_that_follows_is_taken_with_the_report(running: _Running) -> None:
    report = countersigned(running.paper, running.report(), EARNED_BASE)
    answer = running.post(report)
    assert answer.status_code == 200, answer.text
    assert answer.json()["voucher"]["cumulative"] == str(EARNED_BASE)
    assert running.countersignature() == report["countersignature"]


def test_a_countersignature_of_another_voucher_costs_the_provider_nothing_and_counts_for_nothing(
    running: _Running,
) -> None:
    answer = running.post(countersigned(running.paper, running.report(), EARNED_BASE + 1))
    assert answer.status_code == 200, answer.text
    assert running.countersignature() is None
    # The provider is asked for another, and its repeated report may bring it.
    report = countersigned(running.paper, running.report(), EARNED_BASE)
    assert running.post(report).json() == answer.json()
    assert running.countersignature() == report["countersignature"]


def test_a_countersignature_that_nobody_could_have_made_costs_the_provider_nothing(running: _Running) -> None:
    answer = running.post(running.report() | {"countersignature": "0x" + "00" * 65})
    assert answer.status_code == 200, answer.text
    assert running.countersignature() is None


def test_a_lease_is_not_given_up_while_its_last_segment_is_being_accepted(running: _Running) -> None:
    market = running.paper.market
    with ThreadPoolExecutor(1) as worker:
        with market.db.write() as session:
            assert json.loads(running.report_in(session).message)["last"]
            swept = worker.submit(sweep, market)
            # It has seen that the provider is silent, and waits for whoever has the job.
            assert not wait([swept], _WAITING_SECONDS).done
        swept.result(_LONGEST_SECONDS)
    assert running.found() == ("succeeded", 0)


def test_nothing_is_vouched_for_under_a_lease_that_is_being_given_up(running: _Running) -> None:
    market = running.paper.market

    def report() -> None:
        with market.db.write() as session:
            running.report_in(session)

    with ThreadPoolExecutor(1) as server:
        with market.db.write() as session:
            pinned = pin_lease(session, to_hex(running.lease))
            assert pinned is not None
            report_failure(session, market, *pinned, reason="no power")
            session.flush()
            reported = server.submit(report)
            assert not wait([reported], _WAITING_SECONDS).done
        with pytest.raises(LeaseNotRunning):
            reported.result(_LONGEST_SECONDS)
    assert running.found() == ("queued", EndReason.FAULTY)
