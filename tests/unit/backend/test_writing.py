"""Rows written at once: stored and read back as the ORM would, and told to the job's buyer all the same."""

from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from backend.events import writing
from backend.events.tables import JobEventRow
from backend.jobs.tables import IdempotencyRow, JobRow
from backend.leases.tables import UsageRow
from tests.support.databases import Database
from tests.support.paper_market import PaperMarket, paper_market

pytestmark = pytest.mark.database


def _usage() -> UsageRow:
    return UsageRow(
        lease="0x01",
        provider="0x02",
        sequence=1,
        job_id="job_1",
        receipt_message="{}",
        receipt_signature="0x",
        state_hash="0x03",
        job_work=2**40,
        lease_work=2**40,
        checkpoint_cid="b",
    )


def _put_twice(paper: PaperMarket) -> None:
    with paper.market.db.write() as session:
        writing.put(session, _usage())
        writing.put(session, _usage())


def _kinds(paper: PaperMarket) -> list[str]:
    with paper.market.db.read() as session:
        return list(session.exec(select(JobEventRow.kind).order_by(col(JobEventRow.sequence))))


def test_a_row_that_was_put_is_the_sessions_own_and_what_changes_of_it_is_stored(
    tmp_path: Path, database: Database
) -> None:
    with paper_market(tmp_path, database) as paper:
        paper.add_job("job_1")
        with paper.market.db.write() as session:
            row = writing.put(session, _usage())
            assert session.get(UsageRow, ("0x01", "0x02", 1)) is row
            writing.change(session, row, verdict="paid", cumulative_base=2**40)
            # The unit of work goes on from there.
            row.signed_time = 7
            session.add(row)
        with paper.market.db.read() as session:
            found = session.exec(select(UsageRow)).one()
        assert (found.verdict, found.cumulative_base, found.signed_time) == ("paid", 2**40, 7)
        assert found.job_work == 2**40


def test_what_is_put_or_changed_is_told_once(tmp_path: Path, database: Database) -> None:
    with paper_market(tmp_path, database) as paper:
        paper.add_job("job_1")
        with paper.market.db.write() as session:
            job = session.get_one(JobRow, "job_1")
            writing.put(session, _usage())
            writing.change(session, job, state="running", work=1)
            writing.change(session, job, state="running", work=2)
        assert _kinds(paper) == ["job.queued", "job.segment", "job.running"]
        with paper.market.db.read() as session:
            assert session.get_one(JobRow, "job_1").work == 2


def test_a_change_overrules_what_the_session_had_not_written_yet(tmp_path: Path, database: Database) -> None:
    with paper_market(tmp_path, database) as paper:
        paper.add_job("job_1")
        with paper.market.db.write() as session:
            job = session.get_one(JobRow, "job_1")
            job.work = 1
            writing.change(session, job, work=2)
        with paper.market.db.read() as session:
            assert session.get_one(JobRow, "job_1").work == 2


def test_the_same_key_twice_is_refused_and_a_numbered_row_gets_its_number(tmp_path: Path, database: Database) -> None:
    with paper_market(tmp_path, database) as paper:
        with pytest.raises(IntegrityError):
            _put_twice(paper)
        with paper.market.db.write() as session:
            for key in ("a", "b"):
                row = IdempotencyRow(principal="p", key=key, fingerprint="f", job_id="job_1", created_time=1)
                writing.put_numbered(session, row)
        with paper.market.db.read() as session:
            assert session.exec(select(UsageRow)).all() == []
            assert len(set(session.exec(select(IdempotencyRow.id)))) == 2
