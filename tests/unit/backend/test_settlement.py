"""What is asked of the ledger for leases that end, and when."""

from pathlib import Path

import pytest
from sqlmodel import select

from backend.leases import settlement
from backend.leases.tables import LeaseIntention
from backend.submission.tables import IntentRow
from protocol.clock import now_time
from protocol.events import EndReason, LeaseClosing
from protocol.hashing import to_hex
from tests.support.paper_market import paper_market


@pytest.mark.parametrize(("signed_ago_seconds", "asked"), [(1, []), (11, ["close_last"]), (-3600, ["close_last"])])
def test_a_provider_that_does_not_countersign_is_waited_for_and_not_while_a_clock_catches_up(
    tmp_path: Path, signed_ago_seconds: int, asked: list[str]
) -> None:
    with paper_market(tmp_path, countersign_seconds=10) as paper:
        paper.add_job("job_1", state="succeeded")
        lease = paper.propose("job_1")
        paper.stored.grow([[paper.opened("job_1")]])
        with paper.market.db.write() as session:
            row = session.get_one(LeaseIntention, to_hex(lease))
            row.last_signed_time = now_time() - signed_ago_seconds
            session.add(row)
        settlement.ask(paper.market)
        with paper.market.db.read() as session:
            assert list(session.exec(select(IntentRow.kind))) == asked


def _asked_of_one_that_is_closing(folder: Path, *, countersignature: str | None, deadline_time: int) -> list[str]:
    """By a `last` voucher that only the buyer's side signed."""
    folder.mkdir(exist_ok=True)
    with paper_market(folder) as paper:
        paper.add_job("job_1", state="succeeded")
        lease = paper.propose("job_1")
        closing = LeaseClosing(lease, paper.market.submission_key.address, EndReason.COMPLETED, deadline_time, True)
        paper.stored.grow([[paper.opened("job_1")], [closing]])
        with paper.market.db.write() as session:
            row = session.get_one(LeaseIntention, to_hex(lease))
            row.last_signed_time, row.countersignature = now_time() - 60, countersignature
            session.add(row)
        settlement.ask(paper.market)
        with paper.market.db.read() as session:
            return list(session.exec(select(IntentRow.kind)))


def test_a_provider_that_countersigns_late_has_its_lease_closed_at_once_and_not_at_its_notices_end(
    tmp_path: Path,
) -> None:
    far_time = 4_000_000_000
    assert _asked_of_one_that_is_closing(tmp_path / "late", countersignature="0x", deadline_time=far_time) == [
        "close_last"
    ]
    assert _asked_of_one_that_is_closing(tmp_path / "never", countersignature=None, deadline_time=far_time) == []


def test_a_notice_that_has_ended_is_finalised_whoever_signed(tmp_path: Path) -> None:
    assert _asked_of_one_that_is_closing(tmp_path, countersignature="0x", deadline_time=1) == ["finalise"]
