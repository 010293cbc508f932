"""Usage receipts in, vouchers out (SPEC "Vouchers"): signed once a segment, and stored before it is sent."""

import json
from typing import Any

from sqlmodel import Session, col, select

from backend import crash_points
from backend.accounts.service import Principal
from backend.errors import LeaseNotRunning, NotFound, UsageRefused
from backend.jobs.service import end_job
from backend.jobs.tables import JobLogRow, JobRow
from backend.leases.results import checked_result
from backend.leases.tables import LeaseIntention, UsageRow
from backend.market import Market
from indexer.queries import LeaseRow
from protocol.clock import now_milliseconds, now_time
from protocol.events import LeaseState
from protocol.hashing import checksum_address, cid_of, from_hex, to_hex
from protocol.keys import recover_address
from protocol.manifest import Manifest
from protocol.messages import digest, from_json, recover, sign, to_json
from protocol.terms import UsageReceipt, Voucher
from protocol.units import earned_down
from protocol.wire.jobs import ENDED, TraceStep
from protocol.wire.leases import SignedVoucher, UsageReport

_CLOCK_SKEW_MS = 120_000


def own_intention(session: Session, caller: Principal, lease: str) -> LeaseIntention:
    """The lease, if it is this provider's; raises `NotFound`."""
    row = session.get(LeaseIntention, to_hex(from_hex(lease, 32)))
    if row is None or row.provider != caller.address:
        raise NotFound(f"no lease {lease[:70]} of {caller.address}")
    return row


def usages(session: Session, job_id: str) -> list[UsageRow]:
    """All segments of a job, over all its leases, in order."""
    return list(session.exec(select(UsageRow).where(UsageRow.job_id == job_id).order_by(col(UsageRow.sequence))))


def trace_of(rows: list[UsageRow]) -> list[TraceStep]:
    return [TraceStep(state_hash=row.state_hash, work=row.job_work) for row in rows]


def report_usage(session: Session, market: Market, caller: Principal, lease: str, report: UsageReport) -> SignedVoucher:
    """Checks one segment and answers with its voucher; the same report again gets the same voucher."""
    intention = own_intention(session, caller, lease)
    receipt = from_json(UsageReceipt, report.usage_receipt)
    stored = session.get(UsageRow, (intention.lease, receipt.sequence))
    if stored is not None:
        return _replay(stored, receipt)
    job = session.get_one(JobRow, intention.job_id)
    on_chain = running_lease(market, intention, job)
    _require_signed(market, caller, intention, receipt, report.signature)
    rows = usages(session, job.id)
    _require_next(job, intention, rows, receipt, report)
    if report.result is not None:
        _accept_result(session, market, job, rows, receipt, report)
    elif market.files.size(cid_of(receipt.checkpoint)) is None:
        raise UsageRefused("the checkpoint file is not here", remedy="PUT it to /v1/files/{cid} first")
    voucher = _voucher(market, job, intention, on_chain, receipt, last=report.result is not None)
    _advance(session, job, intention, voucher, report)
    if report.log_text:
        session.add(JobLogRow(job_id=job.id, sequence=receipt.sequence, text=report.log_text))
    row = UsageRow(
        lease=intention.lease,
        sequence=receipt.sequence,
        job_id=job.id,
        receipt_message=_compact(to_json(receipt)),
        receipt_signature=report.signature,
        state_hash=report.step.state_hash,
        job_work=report.step.work,
        lease_work=receipt.work,
        checkpoint_cid=cid_of(receipt.checkpoint),
        voucher_message=_compact(to_json(voucher)),
        voucher_signature=to_hex(sign(market.domain, voucher, market.hosted.voucher_signer(job.key_id))),
        cumulative_base=voucher.cumulative,
        last=voucher.last,
        signed_time=now_time(),
    )
    session.add(row)
    crash_points.reach("voucher.signed")
    return voucher_of(row)


def _replay(stored: UsageRow, receipt: UsageReceipt) -> SignedVoucher:
    # Only the time may differ: a provider that crashed after sending measures it anew.
    before = from_json(UsageReceipt, json.loads(stored.receipt_message))
    same = (receipt.work, receipt.result, receipt.checkpoint) == (before.work, before.result, before.checkpoint)
    if not same:
        raise UsageRefused(
            f"segment {receipt.sequence} was reported with another result",
            remedy="resume from the market's checkpoint; a deterministic job cannot differ",
        )
    return voucher_of(stored)


def voucher_of(row: UsageRow) -> SignedVoucher:
    return SignedVoucher(voucher=json.loads(row.voucher_message), signature=row.voucher_signature)


def running_lease(market: Market, intention: LeaseIntention, job: JobRow) -> LeaseRow:
    """The lease as the mirror has it, if work on it still counts; raises `LeaseNotRunning`."""
    found = market.mirror.lease(from_hex(intention.lease, 32))
    if found is None:
        raise LeaseNotRunning("the mirror does not have this lease yet")
    if intention.state == "ended" or job.state in ENDED or intention.closing_reason:
        raise LeaseNotRunning("the lease was ended by the market", remedy="stop; what was vouched for is paid")
    if found.state is not LeaseState.OPEN or market.mirror.status().block_time >= found.deadline_time:
        raise LeaseNotRunning(f"the lease is {found.state.name.lower()}", remedy="stop; redeem the vouchers you hold")
    return found


def _require_signed(
    market: Market, caller: Principal, intention: LeaseIntention, receipt: UsageReceipt, signature: str
) -> None:
    signer = recover(market.domain, receipt, from_hex(signature, 65))
    if signer != caller.address:
        raise UsageRefused(f"the usage receipt is signed by {signer}, the lease is {caller.address}'s")
    if to_hex(receipt.lease) != intention.lease:
        raise UsageRefused("the usage receipt names another lease")
    if receipt.metered_until > now_milliseconds() + _CLOCK_SKEW_MS:
        raise UsageRefused("meteredUntil is in the future", remedy="set the clock")


def _require_next(
    job: JobRow, intention: LeaseIntention, rows: list[UsageRow], receipt: UsageReceipt, report: UsageReport
) -> None:
    """Sequence, work and end must follow from the segments before."""
    limits = Manifest.parse(json.loads(job.manifest)).limits
    before = rows[-1].job_work if rows else 0
    expected = rows[-1].sequence + 1 if rows else 1
    checks = (
        (receipt.sequence == expected, f"expected segment {expected}, found {receipt.sequence}"),
        (receipt.sequence <= job.segments_total, f"the job has {job.segments_total} segments"),
        (before <= report.step.work <= limits.work, f"work must go from {before} to at most {limits.work}"),
        (
            receipt.work == report.step.work - intention.base_work,
            f"work of this lease must be {report.step.work - intention.base_work}, found {receipt.work}",
        ),
        (
            report.result is not None or receipt.sequence < job.segments_total,
            "the last segment must come with the result",
        ),
        (
            report.result is not None or to_hex(receipt.result) == report.step.state_hash,
            "result must be the state hash of the segment",
        ),
    )
    for holds, fact in checks:
        if not holds:
            raise UsageRefused(fact, remedy="resume from GET /v1/provider/leases/{lease}")


def _accept_result(
    session: Session, market: Market, job: JobRow, rows: list[UsageRow], receipt: UsageReceipt, report: UsageReport
) -> None:
    info = checked_result(market, job, trace_of(rows), receipt, report)
    job.result = info.model_dump_json()
    if info.status == "succeeded":
        end_job(session, job, "succeeded")
    else:
        end_job(session, job, "failed", f"the job ended with {info.status}, exit code {info.exit_code}")


def _voucher(
    market: Market, job: JobRow, intention: LeaseIntention, lease: LeaseRow, receipt: UsageReceipt, *, last: bool
) -> Voucher:
    earned = earned_down(lease.meter, lease.rate, receipt.work)
    return Voucher(
        lease=receipt.lease,
        provider=checksum_address(intention.provider),
        cumulative=min(earned, lease.locked_base),
        result=receipt.result,
        last=last,
    )


def _advance(session: Session, job: JobRow, intention: LeaseIntention, voucher: Voucher, report: UsageReport) -> None:
    job.segments_done = job.segments_total if voucher.last else job.segments_done + 1
    job.work = report.step.work
    job.cost_base = _paid_elsewhere(session, job, intention) + voucher.cumulative
    if job.state not in ENDED:
        job.state = "running"
    intention.state = "ended" if voucher.last else "running"
    if voucher.last:
        intention.last_signed_time = now_time()
    session.add(job)
    session.add(intention)


def _paid_elsewhere(session: Session, job: JobRow, intention: LeaseIntention) -> int:
    """Base units of the highest voucher of each other lease of the job."""
    highest: dict[str, int] = {}
    for row in usages(session, job.id):
        if row.lease != intention.lease:
            highest[row.lease] = max(highest.get(row.lease, 0), row.cumulative_base)
    return sum(highest.values())


def highest_voucher(session: Session, lease: str) -> UsageRow | None:
    """The voucher of the lease that replaces all others."""
    statement = select(UsageRow).where(UsageRow.lease == lease).order_by(col(UsageRow.sequence).desc()).limit(1)
    return session.exec(statement).first()


def countersign(session: Session, market: Market, caller: Principal, lease: str, signature: str) -> None:
    """The provider agrees to the `last` voucher, so that the ledger closes the lease at once."""
    intention = own_intention(session, caller, lease)
    last = last_voucher(session, market, intention)
    if last is None:
        raise UsageRefused("no last voucher was signed for this lease")
    voucher = from_json(Voucher, last.voucher)
    signer = recover_address(digest(market.domain, voucher), from_hex(signature, 65))
    if signer != intention.provider:
        raise UsageRefused(f"the countersignature is by {signer}, not by {intention.provider}")
    intention.countersignature = signature
    session.add(intention)


def last_voucher(session: Session, market: Market, intention: LeaseIntention) -> SignedVoucher | None:
    """The voucher that ends this lease, if the buyer's side has signed one.

    A cancelled job ends with a `last` voucher over what was vouched so far, and no result.
    """
    if intention.last_signed_time is None:
        return None
    highest = highest_voucher(session, intention.lease)
    if highest is not None and highest.last:
        return voucher_of(highest)
    job = session.get_one(JobRow, intention.job_id)
    voucher = Voucher(
        lease=from_hex(intention.lease, 32),
        provider=checksum_address(intention.provider),
        cumulative=highest.cumulative_base if highest else 0,
        result=from_hex(highest.state_hash, 32) if highest else bytes(32),
        last=True,
    )
    signature = sign(market.domain, voucher, market.hosted.voucher_signer(job.key_id))
    return SignedVoucher(voucher=to_json(voucher), signature=to_hex(signature))


def _compact(message: dict[str, Any]) -> str:
    return json.dumps(message, separators=(",", ":"))
