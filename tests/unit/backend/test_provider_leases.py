"""What a provider is told to serve: nothing of it can hide behind what is done."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import col, update

from backend.jobs.tables import JobRow
from backend.leases import work
from backend.leases.tables import LeaseIntention, UsageRow
from backend.offers.service import silent_seconds
from backend.offers.tables import ProviderRow
from protocol.clock import now_time
from protocol.hashing import cid_of, to_hex
from protocol.wire.leases import LeasePage, LeaseWork
from tests.support.databases import Database
from tests.support.paper_market import PROVIDER, PaperMarket, manifest, paper_market


def _told(paper: PaperMarket, *, linger_seconds: float = 0) -> list[str]:
    """`linger_seconds`: how long the server goes on after its answer."""

    async def ask() -> list[str]:
        async with paper.http(paper.session_of(PROVIDER)) as http:
            answer = await http.get("/v1/provider/leases")
            assert answer.status_code == 200, answer.text
            await asyncio.sleep(linger_seconds)
            return [lease["lease"] for lease in answer.json()["data"]]

    return asyncio.run(ask())


def test_an_old_lease_is_not_hidden_behind_a_page_of_newer_ones_that_ended(tmp_path: Path) -> None:
    with paper_market(tmp_path) as paper:
        paper.add_job("job_old")
        old = to_hex(paper.propose("job_old"))
        for number in range(60):
            paper.add_job(f"job_{number}")
            paper.propose(f"job_{number}")
        with paper.market.db.write() as session:
            ended = col(LeaseIntention.lease) != old
            session.exec(update(LeaseIntention).where(ended).values(state="ended", proposed_time=2**31 - 1))
        assert _told(paper) == [old]


def test_what_a_provider_has_to_do_is_found_without_all_that_it_ever_did(tmp_path: Path, database: Database) -> None:
    with paper_market(tmp_path, database) as paper, paper.market.db.engine.connect() as connection:
        asked = work._OPEN.params(provider=PROVIDER.address)
        statement = asked.compile(connection, compile_kwargs={"literal_binds": True})
        is_sqlite = connection.dialect.name == "sqlite"
        if not is_sqlite:
            # A table of no rows is read whole, whatever could be asked instead.
            connection.execute(text("SET enable_seqscan = off"))
        told = connection.execute(text(f"EXPLAIN {'QUERY PLAN' if is_sqlite else ''} {statement}")).all()
        assert "ix_lease_intentions_open" in str(told), told


@pytest.mark.parametrize(
    ("columns", "is_told"),
    [
        ({"state": "proposed"}, True),
        ({"state": "running"}, True),
        ({"state": "ended"}, False),
        ({"state": "ended", "last_signed_time": 1}, True),
        ({"state": "ended", "last_signed_time": 1, "countersignature": "0x"}, False),
        ({"state": "ended", "last_signed_time": 1, "settled": True}, False),
    ],
)
def test_a_lease_is_told_while_its_provider_has_to_serve_or_to_countersign_it(
    tmp_path: Path, database: Database, columns: dict[str, Any], is_told: bool
) -> None:
    with paper_market(tmp_path, database) as paper:
        paper.add_job("job_1")
        lease = to_hex(paper.propose("job_1"))
        paper.stored.grow([[paper.opened("job_1")]])
        with paper.market.db.write() as session:
            session.exec(update(LeaseIntention).values(**columns))
        assert _told(paper) == ([lease] if is_told else [])


def test_a_lease_is_told_with_its_order_its_job_and_where_to_go_on_alone_as_on_the_page(tmp_path: Path) -> None:
    with paper_market(tmp_path) as paper:
        paper.add_job("job_1", manifest=json.dumps({**manifest(), "environment": {"NAME": "näme \u2028"}}))
        lease = to_hex(paper.propose("job_1"))
        paper.stored.grow([[paper.opened("job_1")]])
        _paid(paper, "job_1", lease)
        with paper.market.db.read() as session:
            job = session.get_one(JobRow, "job_1")

        async def ask(path: str) -> bytes:
            async with paper.http(paper.session_of(PROVIDER)) as http:
                return (await http.get(path)).content

        (told,) = LeasePage.model_validate_json(asyncio.run(ask("/v1/provider/leases"))).data
        assert (told.order, told.manifest) == (json.loads(job.order_message), json.loads(job.manifest))
        assert told.resume is not None
        assert (told.resume.sequence, told.resume.job_work, len(told.resume.trace)) == (1, 2**60, 1)
        assert told.state == "open"
        assert LeaseWork.model_validate_json(asyncio.run(ask(f"/v1/provider/leases/{lease}"))) == told


def _paid(paper: PaperMarket, job_id: str, lease: str) -> None:
    """The job's first segment."""
    with paper.market.db.write() as session:
        session.add(
            UsageRow(
                lease=lease,
                provider=PROVIDER.address,
                sequence=1,
                job_id=job_id,
                receipt_message="{}",
                receipt_signature="0x",
                state_hash=to_hex(bytes(32)),
                job_work=2**60,
                lease_work=2**60,
                checkpoint_cid=cid_of(bytes(32)),
            )
        )


@pytest.mark.parametrize("set_by_seconds", [3600, -3600])
def test_who_calls_is_noted_now_though_the_clock_was_set_since_it_called_before(
    tmp_path: Path, set_by_seconds: int
) -> None:
    with paper_market(tmp_path) as paper:
        with paper.market.db.write() as session:
            session.merge(ProviderRow(address=PROVIDER.address, heard_time=now_time() + set_by_seconds))
        _told(paper, linger_seconds=1)
        with paper.market.db.read() as session:
            assert 0 <= silent_seconds(session, PROVIDER.address) <= 60
