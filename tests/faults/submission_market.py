"""The market of the submission campaign: its step, and in the same process the providers that serve its leases.

Run as a process it forks one market for each line that it reads (the line names a crash point, or nothing), so that
kills fall into the work and not into the start; it writes each child's number, and `gone` when that child is.
"""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Final, cast

import structlog
from sqlmodel import Session, col, select

from backend import crash_points, step
from backend.accounts.service import Principal
from backend.errors import RequestRefused
from backend.jobs.tables import JobRow
from backend.leases import reading, receiving, vouchers
from backend.leases.ending import cancel_job
from backend.leases.segments import usages
from backend.leases.tables import LeaseIntention
from backend.market import Market
from backend.offers.presence import heard
from backend.settings import MarketSettings
from protocol.clock import has_passed, now_milliseconds
from protocol.errors import ChainError, MirrorError
from protocol.hashing import Address, from_hex, keccak256, sha256, to_hex
from protocol.keys import LocalKey
from protocol.messages import digest, from_json, sign, to_json
from protocol.terms import UsageReceipt, Voucher
from protocol.wire.jobs import TraceStep
from protocol.wire.leases import UsageReport
from tests.faults.jumping_clock import VARIABLE, install

PROVIDERS: Final = {key.address: key for key in (LocalKey.derive(bytes(32), f"provider {n}") for n in (1, 2))}
WORK: Final = 10**9
"""Raw units of a segment."""

SEGMENTS: Final = 2
CHECKPOINT: Final = b"a checkpoint"


def main() -> None:
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    install(Path(os.environ[VARIABLE]))
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            sys.stdin.close()
            if line.strip():
                crash_points.arm(line.strip())
            run(Market(MarketSettings()))
        print(child, flush=True)
        os.waitpid(child, 0)
        print("gone", flush=True)


def run(market: Market) -> None:
    """Until it is killed."""
    log = structlog.get_logger()
    while True:
        try:
            serve(market)
            step.run(market)
        except (ChainError, MirrorError) as error:
            log.warning("step.postponed", code=error.code, reason=str(error)[:200])
        time.sleep(0.02)


def serve(market: Market) -> None:
    """What providers and buyers do: two segments for each lease, then the buyer cancels and the provider agrees."""
    with market.db.write() as session:
        for address in PROVIDERS:
            heard(session, [address])
    with market.db.read() as session:
        waiting = list(_waiting(session))
    for lease in waiting:
        try:
            _advance(market, lease)
        except RequestRefused:
            # The mirror does not have the lease, or not any longer.
            continue


def _waiting(session: Session) -> Iterator[str]:
    statement = select(LeaseIntention).where(col(LeaseIntention.countersignature).is_(None))
    yield from (row.lease for row in session.exec(statement).all())


def _advance(market: Market, lease: str) -> None:
    with market.db.write() as session:
        row = session.get(LeaseIntention, lease)
        if row is None:
            return
        caller = cast(Principal, SimpleNamespace(address=row.provider))
        rows = usages(session, row.job_id)
        if row.last_signed_time is not None:
            last = vouchers.last_voucher(session, market, row)
            assert last is not None
            signed = PROVIDERS[Address(row.provider)].sign_digest(
                digest(market.domain, from_json(Voucher, last.voucher))
            )
            vouchers.countersign(session, market, row, to_hex(signed))
        elif len(rows) < SEGMENTS:
            # Every other lease goes on for a while, so that its first voucher is redeemed before the last.
            if not rows or lease[-1] < "8" or has_passed(rows[-1].signed_time, 2):
                report = reading.read(market.domain, _report(market, row, len(rows) + 1))
                receiving.report_usage(session, market, caller, lease, report)
        else:
            cancel_job(session, market, session.get_one(JobRow, row.job_id))
    crash_points.reach("voucher.committed")


def _report(market: Market, row: LeaseIntention, sequence: int) -> UsageReport:
    state = keccak256(sequence.to_bytes(8, "big"))
    receipt = UsageReceipt(
        lease=from_hex(row.lease, 32),
        sequence=sequence,
        metered_until=now_milliseconds(),
        work=sequence * WORK - row.base_work,
        result=state,
        checkpoint=sha256(CHECKPOINT),
    )
    return UsageReport(
        usage_receipt=to_json(receipt),
        signature=to_hex(sign(market.domain, receipt, PROVIDERS[Address(row.provider)])),
        step=TraceStep(state_hash=to_hex(state), work=sequence * WORK),
    )


if __name__ == "__main__":
    main()
