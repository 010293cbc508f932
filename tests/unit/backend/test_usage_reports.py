"""What a provider reports counts, however long it was not heard before."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlmodel import select

from backend.jobs.tables import JobRow
from backend.leases.tables import LeaseIntention
from backend.offers.tables import ProviderRow
from protocol.clock import now_milliseconds, now_time
from protocol.hashing import keccak256, sha256, to_hex
from protocol.manifest import Manifest
from protocol.messages import sign, to_json
from protocol.results import JobResult, TraceLeaf
from protocol.terms import UsageReceipt
from tests.support.databases import Database
from tests.support.paper_market import PROVIDER, PaperMarket, manifest, paper_market

WORK = 1000


def _report(paper: PaperMarket, job: Manifest, lease: bytes) -> dict[str, Any]:
    """The only segment, with the result."""
    state = keccak256(lease)
    leaf = TraceLeaf(index=0, state_hash=state, work=WORK)
    result = JobResult(job_hash=job.job_hash(), status="succeeded", exit_code=0, outputs=(), trace=(leaf,), work=WORK)
    receipt = UsageReceipt(
        lease=lease,
        sequence=1,
        metered_until=now_milliseconds(),
        work=WORK,
        result=result.result_hash(),
        checkpoint=sha256(b""),
    )
    step = {"state_hash": to_hex(state), "work": str(WORK)}
    return {
        "usage_receipt": to_json(receipt),
        "signature": to_hex(sign(paper.market.domain, receipt, PROVIDER)),
        "step": step,
        "result": {"status": "succeeded", "exit_code": 0, "work": str(WORK), "outputs": [], "trace": [step]},
    }


@pytest.mark.database
def test_a_provider_that_was_silent_for_long_is_not_given_up_by_its_own_report(
    tmp_path: Path, database: Database
) -> None:
    with paper_market(tmp_path, database) as paper:
        job = Manifest.parse({**manifest(), "verify": "none"})
        spelt, job_hash = json.dumps(job.model_dump(mode="json")), to_hex(job.job_hash())
        paper.add_job("job_1", state="matched", segments_total=1, manifest=spelt, job_hash=job_hash)
        lease = paper.propose("job_1")
        paper.stored.grow([[paper.opened("job_1")]])
        with paper.market.db.write() as session:
            session.merge(ProviderRow(address=PROVIDER.address, heard_time=now_time() - 3600))

        async def report() -> httpx.Response:
            async with paper.http(paper.session_of(PROVIDER)) as http:
                path = f"/v1/provider/leases/{to_hex(lease)}/usage-receipts"
                return await http.post(path, json=_report(paper, job, lease))

        answer = asyncio.run(report())
        assert answer.status_code == 200, answer.text
        assert answer.json()["voucher"]["last"]
        with paper.market.db.read() as session:
            assert session.exec(select(JobRow.state)).one() == "succeeded"
            assert session.exec(select(LeaseIntention.closing_reason)).one() == 0
