"""What is asked of the ledger for leases that end, and when."""

from pathlib import Path

import pytest
from sqlmodel import select

from backend.leases import settlement
from backend.leases.tables import LeaseIntention
from backend.submission.tables import IntentRow
from protocol.clock import now_time
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
