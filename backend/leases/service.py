"""Usage receipts in (SPEC "Vouchers", "Replicas"): what a provider sends is checked, kept, and judged at once."""

import json
from typing import Final

from sqlalchemy import bindparam
from sqlmodel import Session, col, select

from backend import crash_points
from backend.accounts.service import Principal
from backend.errors import LeaseNotRunning, NotFound, UsageRefused
from backend.events import writing
from backend.files import access
from backend.jobs.pinning import pin_lease
from backend.jobs.service import order_of
from backend.jobs.tables import JobRow
from backend.leases.acting import judge
from backend.leases.facts import gather
from backend.leases.lanes import may_reveal
from backend.leases.results import checked_result, limits_of
from backend.leases.segments import Step, lane_steps, trace_of
from backend.leases.tables import CommitmentRow, LeaseIntention, UsageRow
from backend.leases.vouchers import compact, countersign_ahead, voucher_of
from backend.market import Market
from backend.offers.presence import hear_now
from protocol.clock import now_milliseconds, now_time
from protocol.events import LeaseState
from protocol.hashing import Address, checksum_address, cid_of, from_hex, to_hex
from protocol.messages import digest, from_json, recover, to_json
from protocol.replicas import usage_commitment
from protocol.terms import UsageReceipt
from protocol.wire.jobs import ENDED
from protocol.wire.leases import SignedVoucher, UsageCommitment, UsageReport, Waiting

_CLOCK_SKEW_MS = 120_000

# Built once: every usage receipt runs the last.
_LEASE: Final = select(LeaseIntention).where(col(LeaseIntention.lease) == bindparam("lease"))
_SENT: Final = select(UsageRow).where(
    col(UsageRow.lease) == bindparam("lease"),
    col(UsageRow.provider) == bindparam("provider"),
    col(UsageRow.sequence) == bindparam("sequence"),
)


def own_intention(session: Session, caller: Principal, lease: str) -> LeaseIntention:
    """The lease, if it is this provider's; raises `NotFound`."""
    row = session.exec(_LEASE, params={"lease": to_hex(from_hex(lease, 32))}).first()
    if row is None or row.provider != caller.address:
        raise NotFound(f"no lease {lease[:70]} of {caller.address}")
    return row


def own_pinned(session: Session, caller: Principal, lease: str) -> tuple[LeaseIntention, JobRow]:
    """The same with its job, both pinned: for whoever changes one of them."""
    found = pin_lease(session, to_hex(from_hex(lease, 32)))
    if found is None or found[0].provider != caller.address:
        raise NotFound(f"no lease {lease[:70]} of {caller.address}")
    return found


def lane_of(job: JobRow, intention: LeaseIntention) -> int:
    """The replica that the lease is of."""
    return intention.fill % order_of(job).replicas


def commit_usage(session: Session, market: Market, caller: Principal, lease: str, asked: UsageCommitment) -> bool:
    """Keeps a replica's commitment to its next segment; whether it may show it now."""
    hear_now(session, caller.address, market.settings.silence_seconds)
    intention, job = own_pinned(session, caller, lease)
    row = session.get(CommitmentRow, (intention.lease, asked.sequence))
    if row is not None and row.commitment != asked.commitment:
        raise UsageRefused(f"segment {asked.sequence} was committed to otherwise", remedy="show what you committed to")
    if row is not None and row.is_open:
        return True
    _require_running(market, intention, job)
    if row is None:
        expected = _next_sequence(intention, lane_steps(session, job.id, lane_of(job, intention)))
        if asked.sequence != expected:
            raise UsageRefused(f"expected segment {expected}, found {asked.sequence}", remedy="resume from the market")
        row = CommitmentRow(
            lease=intention.lease,
            sequence=asked.sequence,
            commitment=asked.commitment,
            committed_time=now_time(),
        )
        session.add(row)
        intention.progress_time = now_time()
        session.add(intention)
        session.flush()
    facts = gather(session, market, job)
    ours = next(found for found in facts.leases if found.lease == intention.lease)
    row.is_open = may_reveal(facts, ours)
    session.add(row)
    return row.is_open


def report_usage(
    session: Session, market: Market, caller: Principal, lease: str, report: UsageReport
) -> SignedVoucher | Waiting:
    """Checks and keeps one segment, and answers with its voucher once it is accepted; the same again asks again."""
    hear_now(session, caller.address, market.settings.silence_seconds)
    intention, job = own_pinned(session, caller, lease)
    receipt = from_json(UsageReceipt, report.usage_receipt)
    asked = {"lease": intention.lease, "provider": intention.provider, "sequence": receipt.sequence}
    row = session.exec(_SENT, params=asked).first()
    if row is not None and row.verdict != "lapsed":
        _require_same(row, receipt)
        signed = voucher_of(row)
        if signed is not None and row.verdict != "waiting":
            _countersigned(session, market, intention, report)
            return signed
        _require_running(market, intention, job)
    else:
        _require_running(market, intention, job)
        _require_signed(market, caller, intention, receipt, report.signature)
        row = _taken_in(session, market, job, intention, receipt, report, lapsed=row)
    judge(session, market, job)
    crash_points.reach("voucher.signed")
    signed = voucher_of(row) if row.verdict != "waiting" else None
    _countersigned(session, market, intention, report)
    return signed or Waiting(sequence=row.sequence, waiting_for="check" if job.state == "verifying" else "replicas")


def _countersigned(session: Session, market: Market, intention: LeaseIntention, report: UsageReport) -> None:
    if report.countersignature is not None:
        countersign_ahead(session, market, intention, report.countersignature)


def _taken_in(
    session: Session,
    market: Market,
    job: JobRow,
    intention: LeaseIntention,
    receipt: UsageReceipt,
    report: UsageReport,
    *,
    lapsed: UsageRow | None,
) -> UsageRow:
    """Its row. Where a reorg took back what the lease had sent before, that one's voucher stays good."""
    lane = lane_of(job, intention)
    before = lane_steps(session, job.id, lane)
    _require_next(job, intention, before, receipt, report)
    if order_of(job).replicas > 1:
        _require_committed(session, market, intention, receipt, report)
    info = None
    if report.result is not None:
        info = checked_result(market, job, trace_of(before), receipt, report)
    _keep_files(session, market, job, intention, receipt, report)
    sent = UsageRow(
        lease=intention.lease,
        provider=intention.provider,
        sequence=receipt.sequence,
        job_id=job.id,
        lane=lane,
        verdict="waiting",
        receipt_message=compact(to_json(receipt)),
        receipt_signature=report.signature,
        state_hash=report.step.state_hash,
        job_work=report.step.work,
        lease_work=receipt.work,
        checkpoint_cid=cid_of(receipt.checkpoint),
        result_info=info.model_dump_json() if info else None,
        log_text=report.log_text,
        received_time=now_time(),
    )
    writing.change(session, intention, progress_time=now_time())
    if lapsed is None:
        return writing.put(session, sent)
    for name in ("voucher_message", "voucher_signature", "cumulative_base", "signed_time"):
        setattr(sent, name, getattr(lapsed, name))
    return session.merge(sent)


def _keep_files(
    session: Session,
    market: Market,
    job: JobRow,
    intention: LeaseIntention,
    receipt: UsageReceipt,
    report: UsageReport,
) -> None:
    """The segment's files are the job's from now on; they must be the provider's to give. Raises `UsageRefused`."""
    if report.result is not None:
        made, lane = [output.cid for output in report.result.outputs], access.NO_LANE
    else:
        made, lane = [cid_of(receipt.checkpoint)], access.lane_of(job, intention.fill)
    for cid in made:
        if market.files.size(cid) is None or not access.may_read(session, Address(intention.provider), cid):
            what = "checkpoint" if report.result is None else "output"
            raise UsageRefused(f"the {what} file {cid} is not here", remedy="PUT it to /v1/files/{cid} first")
    access.belongs(session, job.id, made, lane)


def _require_same(row: UsageRow, receipt: UsageReceipt) -> None:
    # Only the time may differ: a provider that crashed after sending measures it anew.
    before = from_json(UsageReceipt, json.loads(row.receipt_message))
    if (receipt.work, receipt.result, receipt.checkpoint) != (before.work, before.result, before.checkpoint):
        raise UsageRefused(
            f"segment {receipt.sequence} was reported with another result",
            remedy="resume from the market's checkpoint; a deterministic job cannot differ",
        )


def _require_running(market: Market, intention: LeaseIntention, job: JobRow) -> None:
    """Work under it still counts, as far as the mirror knows; raises `LeaseNotRunning`."""
    with market.mirror.snapshot() as now:
        found, block_time = now.lease(from_hex(intention.lease, 32)), now.status().block_time
    if found is None:
        raise LeaseNotRunning("the mirror does not have this lease yet")
    if found.provider != intention.provider:
        raise LeaseNotRunning("the chain gave the lease to another provider", remedy="stop; the chain decides")
    if intention.state == "ended" or job.state in ENDED:
        raise LeaseNotRunning("the lease was ended by the market", remedy="stop; what was vouched for is paid")
    if found.state is not LeaseState.OPEN or block_time >= found.deadline_time:
        raise LeaseNotRunning(f"the lease is {found.state.name.lower()}", remedy="stop; redeem the vouchers you hold")


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


def _require_committed(
    session: Session, market: Market, intention: LeaseIntention, receipt: UsageReceipt, report: UsageReport
) -> None:
    """The receipt is what was committed to before any replica showed its own."""
    remedy = "POST …/usage-commitments first, until it says that you may show it"
    row = session.get(CommitmentRow, (intention.lease, receipt.sequence))
    if row is None or not row.is_open or report.salt is None:
        raise UsageRefused(f"segment {receipt.sequence} may not be shown yet", remedy=remedy)
    shown = usage_commitment(
        checksum_address(intention.provider), digest(market.domain, receipt), from_hex(report.salt, 32)
    )
    if to_hex(shown) != row.commitment:
        raise UsageRefused(f"segment {receipt.sequence} is not what was committed to", remedy=remedy)


def _next_sequence(intention: LeaseIntention, before: list[Step]) -> int:
    return before[-1].sequence + 1 if before else intention.base_sequence + 1


def _require_next(
    job: JobRow, intention: LeaseIntention, before: list[Step], receipt: UsageReceipt, report: UsageReport
) -> None:
    """Sequence, work and end must follow from the lane's segments before."""
    limits = limits_of(job.manifest)
    done = before[-1].job_work if before else 0
    expected = _next_sequence(intention, before)
    checks = (
        (receipt.sequence == expected, f"expected segment {expected}, found {receipt.sequence}"),
        (receipt.sequence <= job.segments_total, f"the job has {job.segments_total} segments"),
        (done <= report.step.work <= limits.work, f"work must go from {done} to at most {limits.work}"),
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
