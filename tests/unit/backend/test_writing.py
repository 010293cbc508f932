"""Rows written at once: stored and read back as the ORM would, and told to the job's buyer all the same."""

import json
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from backend.errors import IdempotencyConflict
from backend.events import recording, writing
from backend.events.tables import JobEventRow
from backend.jobs import idempotency
from backend.jobs.tables import IdempotencyRow, JobRow
from backend.leases.tables import UsageRow
from tests.support.databases import Database
from tests.support.paper_market import PaperMarket, paper_market
from tests.support.statements import heard

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
        writing.put_all(session, [_usage()])
        writing.put_all(session, [_usage()])


def _kinds(paper: PaperMarket) -> list[str]:
    with paper.market.db.read() as session:
        return list(session.exec(select(JobEventRow.kind).order_by(col(JobEventRow.sequence))))


def test_a_row_that_was_put_is_the_sessions_own_and_what_changes_of_it_is_stored(
    tmp_path: Path, database: Database
) -> None:
    with paper_market(tmp_path, database) as paper:
        paper.add_job("job_1")
        with paper.market.db.write() as session:
            row = _usage()
            writing.put_all(session, [row])
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
            writing.put_all(session, [_usage()])
            writing.change(session, job, state="running", work=1)
            writing.change(session, job, state="running", work=2)
        assert _kinds(paper) == ["job.queued", "job.segment", "job.running"]
        with paper.market.db.read() as session:
            assert session.get_one(JobRow, "job_1").work == 2


def test_changes_that_are_made_together_are_stored_in_their_order_by_a_statement_for_those_that_are_alike(
    tmp_path: Path, database: Database
) -> None:
    written: list[str] = []

    def note(statement: str) -> None:
        written.append(statement.partition(" SET ")[0])

    with paper_market(tmp_path, database) as paper:
        for name in ("job_1", "job_2"):
            paper.add_job(name)
        with paper.market.db.write() as session:
            one, two = session.get_one(JobRow, "job_1"), session.get_one(JobRow, "job_2")
            with heard(paper.market.db.engine, note):
                with writing.together(session):
                    for job in (one, two):
                        writing.change(session, job, state="running", work=1)
                    assert (one.state, written) == ("running", [])
                assert written == ["UPDATE jobs"]
                with writing.together(session):
                    writing.change(session, one, work=2)
                    writing.change(session, one, work=3, segments_done=1)
                    writing.change(session, two, work=4)
                    writing.change(session, one, work=5)
        with paper.market.db.read() as session:
            found = session.exec(select(JobRow.state, JobRow.work, JobRow.segments_done).order_by(col(JobRow.id))).all()
        assert found == [("running", 5, 1), ("running", 4, 0)]


def test_rows_that_are_changed_twice_together_are_stored_by_one_statement_all_the_same(
    tmp_path: Path, database: Database
) -> None:
    written: list[str] = []
    with paper_market(tmp_path, database) as paper:
        for name in ("job_1", "job_2"):
            paper.add_job(name)
        with paper.market.db.write() as session:
            jobs = [session.get_one(JobRow, name) for name in ("job_1", "job_2")]
            with heard(paper.market.db.engine, written.append):
                with writing.together(session):
                    for job in jobs:
                        writing.change(session, job, state="running", work=1)
                        writing.change(session, job, work=2)
                assert len(written) == 1
        with paper.market.db.read() as session:
            assert session.exec(select(JobRow.state, JobRow.work)).all() == [("running", 2)] * 2


def test_a_row_that_is_put_and_changed_together_is_stored_once_and_told_as_it_was_put(
    tmp_path: Path, database: Database
) -> None:
    written: list[str] = []
    with paper_market(tmp_path, database) as paper:
        paper.add_job("job_1")
        with paper.market.db.write() as session:
            with heard(paper.market.db.engine, written.append):
                with writing.together(session):
                    row = _usage()
                    writing.put_all(session, [row])
                    writing.change(session, row, verdict="paid", cumulative_base=7)
                assert [statement.partition(" (")[0] for statement in written] == ["INSERT INTO usage_receipts"]
            assert session.get(UsageRow, ("0x01", "0x02", 1)) is row
        with paper.market.db.read() as session:
            found = session.exec(select(UsageRow)).one()
            told = session.exec(select(JobEventRow.data).where(JobEventRow.kind == "job.segment")).one()
        assert (found.verdict, found.cumulative_base, found.job_work) == ("paid", 7, 2**40)
        assert json.loads(told)["cost_base"] == "0"


def test_rows_that_are_read_by_their_columns_are_the_sessions_own_as_the_database_has_them(
    tmp_path: Path, database: Database
) -> None:
    with paper_market(tmp_path, database) as paper:
        for name in ("job_1", "job_2"):
            paper.add_job(name)
        with paper.market.db.write() as session:
            known = session.get_one(JobRow, "job_1")
            session.connection().execute(update(JobRow).values(work=7))
            now = [dict(row) for row in session.connection().execute(select(*JobRow.__table__.c)).mappings()]  # type: ignore[attr-defined]
            found = {job.id: job for job in writing.read_now(session, JobRow, now)}
            assert found["job_1"] is known
            assert found["job_2"] is session.get_one(JobRow, "job_2")
            assert {job.work for job in found.values()} == {7}
            found["job_2"].work = 8
        with paper.market.db.read() as session:
            assert session.get_one(JobRow, "job_2").work == 8


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
                writing.insert_row(
                    session, IdempotencyRow, principal="p", key=key, fingerprint="f", job_id="job_1", created_time=1
                )
        with paper.market.db.read() as session:
            assert session.exec(select(UsageRow)).all() == []
            assert len(set(session.exec(select(IdempotencyRow.id)))) == 2


def test_a_row_by_its_columns_reads_back_as_one_that_its_constructor_made(tmp_path: Path, database: Database) -> None:
    with paper_market(tmp_path, database) as paper:
        paper.add_job("job_1")
        made = _usage()
        with paper.market.db.write() as session:
            named = {name: getattr(made, name) for name, field in UsageRow.model_fields.items() if field.is_required()}
            put = writing.insert_row(session, UsageRow, **named)
        with paper.market.db.read() as session:
            found = session.exec(select(UsageRow)).one()
        assert found.model_dump() == made.model_dump() == {name: getattr(put, name) for name in UsageRow.model_fields}


def test_a_new_job_that_counts_its_first_event_goes_on_with_the_second(tmp_path: Path, database: Database) -> None:
    with paper_market(tmp_path, database) as paper:
        paper.add_job("job_1")
        with paper.market.db.write() as session:
            new = {**session.get_one(JobRow, "job_1").model_dump(), "id": "job_2", "order_digest": "0x02"}
            job = writing.insert_row(session, JobRow, **{**new, "event_count": 1})
            recording.note_state(session, job)
        with paper.market.db.read() as session:
            told = select(JobEventRow.sequence).where(JobEventRow.job_id == "job_2").order_by(col(JobEventRow.sequence))
            assert list(session.exec(told)) == [1, 2]
            assert session.get_one(JobRow, "job_2").event_count == 2


def test_a_key_is_the_first_jobs_that_claims_it(tmp_path: Path, database: Database) -> None:
    with paper_market(tmp_path, database) as paper:
        paper.add_job("job_1")
        with paper.market.db.write() as session:
            assert idempotency.claim(session, "p", "k", b"body", "job_1") is None
        with paper.market.db.write() as session:
            claimed = idempotency.claim(session, "p", "k", b"body", "job_2")
            assert claimed is not None
            assert claimed.id == "job_1"
            with pytest.raises(IdempotencyConflict):
                idempotency.claim(session, "p", "k", b"another body", "job_2")
