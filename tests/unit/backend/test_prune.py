"""Retention removes what nobody may need any more, and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlmodel import select

from backend.accounts.tables import SessionRow, SignInNonce
from backend.events.tables import JobEventRow
from backend.jobs.tables import IdempotencyRow, JobLogRow, JobRow
from backend.market import Market
from backend.matching.tables import AuctionRow, pack
from backend.operations import prune
from backend.webhooks.tables import WebhookAttemptRow, WebhookMessageRow
from protocol.clock import now_time
from tests.support import databases
from tests.support.market_double import a_market

DAY = 86_400


@pytest.fixture
def market(database: databases.Database, tmp_path: Path) -> Iterator[Market]:
    """Everything that ages, once old and once young; retention of a day each."""
    made = a_market(
        tmp_path,
        market_url=database.mirror_url(tmp_path),
        session_days=1,
        idempotency_days=1,
        auction_days=1,
        job_log_days=1,
        job_event_days=1,
        webhook_days=1,
    )
    with made.db.write() as session:
        for name, time in (("old", now_time() - 2 * DAY), ("young", now_time() - DAY // 2)):
            session.add(SignInNonce(nonce=name, expires_time=time))
            session.add(SessionRow(token_hash=name, address="0x1", expires_time=time))
            session.add(
                IdempotencyRow(principal="0x1", key=name, fingerprint="f", job_id=f"job_{name}", created_time=time)
            )
            session.add(AuctionRow(root=f"0x{name}", packed=pack(f"book of {name}"), pairings=1, held_time=time))
            session.add(_job(name, time))
            session.flush()
            session.add_all(JobLogRow(job_id=f"job_{name}", sequence=number, text="line") for number in range(3))
            session.add_all(_event(f"job_{name}", number, block_number=number) for number in (1, 2))
            for state in ("delivered", "failed", "pending"):
                session.add(_message(f"{name}_{state}", state, time))
        session.add(_job("running", None))
        session.flush()
        session.add(JobLogRow(job_id="job_running", sequence=0, text="line"))
        session.add(_event("job_running", 1, block_number=3))
    yield made
    made.db.close()


def _event(job_id: str, sequence: int, *, block_number: int | None) -> JobEventRow:
    return JobEventRow(
        job_id=job_id, sequence=sequence, kind="lease.paid", data="{}", created_ms=1, block_number=block_number
    )


def _message(name: str, state: str, done_time: int) -> WebhookMessageRow:
    return WebhookMessageRow(
        id=name,
        webhook_id="whk_1",
        job_id="job_old",
        sequence=1,
        kind="job.queued",
        body="{}",
        state=state,
        due_ms=1,
        created_ms=1,
        done_ms=None if state == "pending" else done_time * 1000,
    )


def _job(name: str, ended_time: int | None) -> JobRow:
    return JobRow(
        id=f"job_{name}",
        key_id="key_1",
        buyer="0x1",
        job_hash="0x1",
        manifest="{}",
        order_digest=f"0x{name}",
        order_message="{}",
        order_signature="0x",
        state="succeeded" if ended_time else "running",
        segments_total=1,
        created_ms=1_796_000_000_000,
        ended_ms=ended_time * 1000 if ended_time else None,
        settled_ms=ended_time * 1000 if ended_time else None,
    )


def test_what_is_old_goes_and_what_is_young_or_promised_for_ever_stays(market: Market) -> None:
    pruned = prune.run(market)
    assert pruned == prune.Pruned(
        nonces=1,
        sessions=1,
        idempotency_keys=1,
        auction_snapshots=1,
        job_logs=3,
        job_events=2,
        webhook_messages=2,
    )
    with market.db.read() as session:
        assert session.exec(select(SignInNonce.nonce)).all() == ["young"]
        assert session.exec(select(SessionRow.token_hash)).all() == ["young"]
        assert session.exec(select(IdempotencyRow.key)).all() == ["young"]
        assert set(session.exec(select(JobLogRow.job_id)).all()) == {"job_young", "job_running"}
        assert set(session.exec(select(JobEventRow.job_id)).all()) == {"job_young", "job_running"}
        kept = {"old_pending", "young_pending", "young_delivered", "young_failed"}
        assert set(session.exec(select(WebhookMessageRow.id)).all()) == kept
        assert len(session.exec(select(JobRow.id)).all()) == 3
        books = {row.root: row.snapshot for row in session.exec(select(AuctionRow)).all()}
        assert books == {"0xold": "", "0xyoung": "book of young"}, "the root is kept for ever"
    assert prune.run(market) == prune.Pruned()


def test_logs_are_kept_for_ever_unless_a_setting_says_otherwise(tmp_path: Path) -> None:
    made = a_market(tmp_path)
    with made.db.write() as session:
        session.add(_job("old", 1))
        session.flush()
        session.add(JobLogRow(job_id="job_old", sequence=0, text="line"))
    assert prune.run(made).job_logs == 0
    made.db.close()


def test_attempts_go_with_their_message(market: Market) -> None:
    with market.db.write() as session:
        for message in ("old_delivered", "young_delivered"):
            session.add(WebhookAttemptRow(message_id=message, at_ms=1, took_ms=1))
    prune.run(market)
    with market.db.read() as session:
        assert session.exec(select(WebhookAttemptRow.message_id)).all() == ["young_delivered"]


def test_the_newest_fact_of_the_chain_stays_because_a_rebuilt_mirror_is_read_on_from_it(tmp_path: Path) -> None:
    made = a_market(tmp_path, job_event_days=1)
    with made.db.write() as session:
        for name in ("first", "last"):
            session.add(_job(name, 1))
        session.flush()
        session.add_all([_event("job_first", 1, block_number=5), _event("job_last", 1, block_number=6)])
        session.add(_event("job_last", 2, block_number=None))
    assert prune.run(made).job_events == 1
    with made.db.read() as session:
        kept = session.exec(select(JobEventRow.job_id, JobEventRow.sequence)).all()
    assert kept == [("job_last", 1), ("job_last", 2)]
    made.db.close()


def test_events_of_jobs_that_no_chain_fact_was_told_of_go_too(tmp_path: Path) -> None:
    made = a_market(tmp_path, job_event_days=1)
    with made.db.write() as session:
        session.add(_job("old", 1))
        session.flush()
        session.add(_event("job_old", 1, block_number=None))
    assert prune.run(made).job_events == 1
    made.db.close()


def test_more_than_one_batch_goes_in_one_run(tmp_path: Path) -> None:
    made = a_market(tmp_path)
    with made.db.write() as session:
        session.add_all(SignInNonce(nonce=f"{number}", expires_time=1) for number in range(1_201))
    assert prune.run(made).nonces == 1_201
    made.db.close()
