"""What a usage receipt must be before anything is kept of it; each of these raises what it is refused with."""

import json
from collections.abc import Sequence
from typing import Final

from sqlmodel import Session

from backend.errors import LeaseNotRunning, UsageRefused
from backend.jobs.tables import JobRow
from backend.leases.facts import ChainNow
from backend.leases.reading import Read
from backend.leases.results import limits_of
from backend.leases.segments import Step
from backend.leases.tables import CommitmentRow, LeaseIntention, UsageRow
from backend.market import Market
from protocol.clock import now_milliseconds
from protocol.errors import GridleaseError
from protocol.events import LeaseState
from protocol.hashing import checksum_address, from_hex, to_hex
from protocol.messages import digest, from_json
from protocol.replicas import usage_commitment
from protocol.terms import UsageReceipt
from protocol.wire.jobs import ENDED
from protocol.wire.leases import ResultReport, UsageReport

_CLOCK_SKEW_MS: Final = 120_000


def require_same(row: UsageRow, receipt: UsageReceipt) -> None:
    """A segment that was reported before is reported with the same result."""
    # Only the time may differ: a provider that crashed after sending measures it anew.
    before = from_json(UsageReceipt, json.loads(row.receipt_message))
    if (receipt.work, receipt.result, receipt.checkpoint) != (before.work, before.result, before.checkpoint):
        raise UsageRefused(
            f"segment {receipt.sequence} was reported with another result",
            remedy="resume from the market's checkpoint; a deterministic job cannot differ",
        )


def require_running(intention: LeaseIntention, job: JobRow, chain: ChainNow) -> None:
    """Work under it still counts, as far as the mirror knows; raises `LeaseNotRunning`."""
    found = chain.leases([intention.lease]).get(intention.lease)
    if found is None:
        raise LeaseNotRunning("the mirror does not have this lease yet")
    if found.provider != intention.provider:
        raise LeaseNotRunning("the chain gave the lease to another provider", remedy="stop; the chain decides")
    if intention.state == "ended" or job.state in ENDED:
        raise LeaseNotRunning("the lease was ended by the market", remedy="stop; what was vouched for is paid")
    if found.state is not LeaseState.OPEN or chain.block_time >= found.deadline_time:
        raise LeaseNotRunning(f"the lease is {found.state.name.lower()}", remedy="stop; redeem the vouchers you hold")


def require_signed(intention: LeaseIntention, read: Read) -> None:
    """By the lease's provider, about this lease and what is past."""
    if isinstance(read.signer, GridleaseError):
        raise read.signer
    if read.signer != intention.provider:
        raise UsageRefused(f"the usage receipt is signed by {read.signer}, the lease is {intention.provider}'s")
    if read.lease != intention.lease:
        raise UsageRefused("the usage receipt names another lease")
    if read.receipt.metered_until > now_milliseconds() + _CLOCK_SKEW_MS:
        raise UsageRefused("meteredUntil is in the future", remedy="set the clock")


def require_committed(
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


def next_sequence(intention: LeaseIntention, before: Sequence[Step]) -> int:
    """The segment that the lease has to send after those that its lane was paid for."""
    return before[-1].sequence + 1 if before else intention.base_sequence + 1


def require_next(
    job: JobRow, intention: LeaseIntention, before: Sequence[Step], receipt: UsageReceipt, report: UsageReport
) -> None:
    """Sequence, work and end must follow from the lane's segments before."""
    limits = limits_of(job.manifest)
    done = before[-1].job_work if before else 0
    expected = next_sequence(intention, before)
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


def require_result(market: Market, job: JobRow, before: Sequence[Step], read: Read) -> str:
    """The result to show and to accept, a ResultInfo as JSON; raises `UsageRefused`."""
    result, step = read.report.result, read.report.step
    if result is None:
        raise UsageRefused("no result was sent")
    segments = [*((one.state_hash, one.job_work) for one in before), (step.state_hash, step.work)]
    if [(one.state_hash, one.work) for one in result.trace] != segments:
        raise UsageRefused("the trace is not the segments reported before and this one")
    if result.work != step.work:
        raise UsageRefused(f"work of the result must be {step.work}, found {result.work}")
    found = read.result_of(job.job_hash)
    if found.result_hash != read.receipt.result:
        raise UsageRefused(
            f"the result hashes to {to_hex(found.result_hash)}, the usage receipt says {to_hex(read.receipt.result)}"
        )
    _require_outputs(market, job, result)
    return found.info


def _require_outputs(market: Market, job: JobRow, result: ResultReport) -> None:
    limits = limits_of(job.manifest)
    if sum(output.size for output in result.outputs) > limits.output_bytes:
        raise UsageRefused(f"the outputs are over {limits.output_bytes} bytes")
    if len({output.path for output in result.outputs}) != len(result.outputs):
        raise UsageRefused("an output is named twice")
    for output in result.outputs:
        if market.files.size(output.cid) != output.size:
            raise UsageRefused(f"output {output.path[:128]!r} is not here", remedy="PUT it to /v1/files/{cid} first")
