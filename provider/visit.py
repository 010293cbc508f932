"""One go at a lease: fetch, run a segment, report it, and go on only when its voucher is on the disk.

At any moment at most one segment is unpaid (threat P1). Vouchers are cumulative and a report is repeated byte for byte,
so a kill at any point leads to the same segments under the same lease, and no segment is paid twice.
"""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

import structlog

from protocol.chain import BlockPoint, LeaseOnChain
from protocol.errors import ChainError, GridleaseError
from protocol.events import LeaseState
from protocol.hashing import ZERO_HASH, cid_of, from_hex, sha256, to_hex
from protocol.keys import Signer
from protocol.messages import Domain, digest, from_json, sign, to_json
from protocol.replicas import usage_commitment
from protocol.results import TraceLeaf
from protocol.terms import UsageReceipt, Voucher
from protocol.wire.jobs import OutputFile, TraceStep
from protocol.wire.leases import ResultReport, Resume, UsageCommitment, UsageReport
from provider.errors import LeaseRefused, MarketUnavailable
from provider.journal import BaseEntry, Journal, SegmentEntry, VoucherEntry
from provider.market import Market
from provider.runtimes.faults import CheckpointRefused, ProviderFault
from provider.runtimes.model import ResumePoint, RunSpec, Runtime, Segment, job_result
from provider.terms import Agreement, check_voucher

_log = structlog.get_logger()

LOOK_SECONDS: Final = 1.0
"""The chain is read at most this often between segments."""

LONGEST_PAUSE_SECONDS: Final = 5.0
_LONGEST_TURN_SECONDS: Final = 1.0
_MAX_LOG_CHARACTERS: Final = 65_536

T = TypeVar("T")


class LedgerView(Protocol):
    """What an agent reads on chain; `protocol.chain.Chain` is one."""

    def lease(self, lease: bytes) -> LeaseOnChain | None: ...

    def latest(self) -> BlockPoint: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What every lease on this machine is served with."""

    key: Signer
    domain: Domain
    ledger: LedgerView
    market: Market
    #: by runtime id
    runtimes: Mapping[str, Runtime]
    #: bytes of memory that a job may use at most
    memory_bytes: int
    sleep: Callable[[float], None] = time.sleep


class LeaseLapsed(GridleaseError):
    """The lease runs no longer: what was not paid by a voucher is lost."""

    code = "lease_lapsed"


class LeaseGone(ChainError):
    """The chain has the lease no more. It may come back, so that its journal stays open."""

    code = "lease_gone"


def pauses() -> Iterator[float]:
    """Seconds to wait before each new attempt."""
    pause = 0.1
    while True:
        yield pause
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


class Visit:
    """One go at a lease: from wherever its journal stands to its end."""

    def __init__(self, site: Site, agreement: Agreement, journal: Journal, resume: Resume | None) -> None:
        self._site = site
        self._agreement = agreement
        self._journal = journal
        self._looked = 0.0
        self._block_time = 0
        known = self._sequence
        if journal.progress.base is None or (resume is not None and resume.sequence > known):
            journal.append(BaseEntry(resume=resume))

    @property
    def _base(self) -> Resume | None:
        base = self._journal.progress.base
        return base.resume if base else None

    @property
    def _sequence(self) -> int:
        """Segments of the job that are done."""
        return (self._base.sequence if self._base else 0) + len(self._journal.progress.segments)

    @property
    def _trace(self) -> list[TraceStep]:
        before = self._base.trace if self._base else []
        return [*before, *(entry.report.step for entry in self._journal.progress.segments)]

    @property
    def _work_before_lease(self) -> int:
        """Raw work of the job that earlier leases were paid for."""
        return self._base.job_work - self._base.lease_work if self._base else 0

    def run(self) -> Voucher:
        """The last voucher. Raises what keeps the lease from being served to its end."""
        progress = self._journal.progress
        if progress.unpaid is not None:
            self._collect(progress.unpaid)
        if not progress.has_result:
            self._run_segments()
        return from_json(Voucher, progress.vouchers[-1].voucher)

    def _run_segments(self) -> None:
        self._require_open()
        spec = self._fetch_job()
        with self._site.runtimes[spec.manifest.runtime].start(spec, self._resume_point()) as run:
            while True:
                self._require_open()
                self._require_lock()
                segment = run.advance()
                self._collect(self._record(segment))
                if segment.end:
                    return

    def _fetch_job(self) -> RunSpec:
        manifest = self._agreement.manifest
        if manifest.runtime not in self._site.runtimes:
            raise LeaseRefused(f"runtime {manifest.runtime} is not offered here")
        fetch = self._site.market.fetch
        return RunSpec(
            manifest=manifest,
            module=fetch(manifest.module),
            inputs={name: fetch(cid) for name, cid in manifest.inputs.items()},
        )

    def _resume_point(self) -> ResumePoint | None:
        trace = self._trace
        if not trace:
            return None
        segments = self._journal.progress.segments
        cid = segments[-1].checkpoint if segments else (self._base.checkpoint if self._base else None)
        if cid is None:
            raise CheckpointRefused("the market names none")
        leaf = _leaves(trace)[-1]
        checkpoint = self._journal.find(cid)
        return ResumePoint(leaf=leaf, checkpoint=checkpoint or self._site.market.fetch(cid))

    def _record(self, segment: Segment) -> SegmentEntry:
        """Signs the usage receipt and puts all of it on the disk."""
        kept = [self._journal.keep(data) for data in (segment.end.outputs.values() if segment.end else ())]
        checkpoint = self._journal.keep(segment.checkpoint) if segment.checkpoint is not None else None
        step = TraceStep(state_hash=to_hex(segment.leaf.state_hash), work=segment.leaf.work)
        trace = [*self._trace, step]
        result, claimed = self._result(segment, trace)
        lease_work = segment.leaf.work - self._work_before_lease
        receipt = UsageReceipt(
            lease=self._agreement.lease,
            sequence=len(trace),
            metered_until=self._block_time * 1000,
            work=lease_work,
            result=claimed,
            checkpoint=sha256(segment.checkpoint) if segment.checkpoint is not None else ZERO_HASH,
        )
        salt, commitment = self._committed(receipt)
        last = self._agreement.last_voucher(receipt, paid_before=self._journal.progress.paid_base)
        report = UsageReport(
            usage_receipt=to_json(receipt),
            signature=to_hex(sign(self._site.domain, receipt, self._site.key)),
            step=step,
            result=result,
            salt=salt,
            log_text=segment.log.decode("utf-8", "replace")[:_MAX_LOG_CHARACTERS],
            countersignature=to_hex(sign(self._site.domain, last, self._site.key)) if result is not None else None,
        )
        files = kept if checkpoint is None else [checkpoint]
        entry = SegmentEntry(
            report=report, lease_work=lease_work, files=files, checkpoint=checkpoint, commitment=commitment
        )
        self._journal.append(entry)
        return entry

    def _result(self, segment: Segment, trace: list[TraceStep]) -> tuple[ResultReport | None, bytes]:
        """The report of the job's end with its hash; before the end only the state hash."""
        end = segment.end
        if end is None:
            return None, segment.leaf.state_hash
        result = job_result(self._agreement.manifest, _leaves(trace), end)
        report = ResultReport(
            status=end.status,
            exit_code=end.exit_code,
            work=segment.leaf.work,
            outputs=[OutputFile(path=item.path, cid=cid_of(item.sha256), size=item.size) for item in result.outputs],
            trace=trace,
        )
        return report, result.result_hash()

    def _committed(self, receipt: UsageReceipt) -> tuple[str | None, str | None]:
        """(salt, commitment) where other replicas could copy what this one shows."""
        if self._agreement.order.replicas == 1:
            return None, None
        salt = secrets.token_bytes(32)
        commitment = usage_commitment(self._site.key.address, digest(self._site.domain, receipt), salt)
        return to_hex(salt), to_hex(commitment)

    def _collect(self, entry: SegmentEntry) -> None:
        """Gets the segment paid: returns when its voucher is checked and on the disk."""
        site, progress, lease = self._site, self._journal.progress, self._agreement.lease
        receipt = from_json(UsageReceipt, entry.report.usage_receipt)
        if entry.commitment is not None:
            commitment = UsageCommitment(sequence=receipt.sequence, commitment=entry.commitment)
            self._until(receipt.sequence, lambda: site.market.commit_usage(lease, commitment) or None)
        self._until(receipt.sequence, lambda: self._sent(entry))
        signed = self._until(receipt.sequence, lambda: site.market.report_usage(lease, entry.report))
        check_voucher(
            signed,
            self._agreement,
            receipt,
            last=entry.report.result is not None,
            paid_before=progress.paid_base,
            domain=site.domain,
        )
        self._journal.append(VoucherEntry(voucher=signed))
        self._journal.drop_all_but({entry.checkpoint} if entry.checkpoint else set(entry.files))
        _log.info("segment.paid", sequence=receipt.sequence, work=receipt.work, paid_base=str(progress.paid_base))

    def _sent(self, entry: SegmentEntry) -> bool:
        """Uploads what the report names."""
        for cid in entry.files:
            data = self._journal.find(cid)
            if data is not None:
                self._site.market.store(data)
        return True

    def _until(self, sequence: int, ask: Callable[[], T | None]) -> T:
        """Asks until there is an answer, for as long as a voucher can still come."""
        for pause in pauses():
            longest = LONGEST_PAUSE_SECONDS
            try:
                answer = ask()
                if answer is not None:
                    return answer
                # The market is there; only the other replicas, or its own check, are not so far.
                longest = _LONGEST_TURN_SECONDS
            except MarketUnavailable as error:
                _log.warning("voucher.waiting", sequence=sequence, reason=str(error))
            self._require_collectable()
            self._site.sleep(min(pause, longest))
        raise AssertionError("pauses never end")

    def _look(self) -> LeaseOnChain:
        on_chain, block = self._site.ledger.lease(self._agreement.lease), self._site.ledger.latest()
        self._looked, self._block_time = time.monotonic(), block.time
        if on_chain is None:
            raise LeaseGone("a reorg took the lease; it is served again when it comes back")
        return on_chain

    def _require_open(self) -> None:
        """No segment starts that the lease might not pay. Time is the chain's, not this machine's (threat P2)."""
        if self._looked and time.monotonic() - self._looked < LOOK_SECONDS:
            return
        on_chain = self._look()
        if on_chain.state is not LeaseState.OPEN or self._block_time >= on_chain.deadline_time:
            raise LeaseLapsed(f"on chain it is {on_chain.state.name.lower()} at {self._block_time}")

    def _require_collectable(self) -> None:
        """Vouchers are worth waiting for until the notice is over."""
        try:
            on_chain = self._look()
        except ChainError as error:
            _log.warning("chain.unavailable", reason=str(error))
            return
        open_ = on_chain.state is LeaseState.OPEN
        until = on_chain.deadline_time + (self._agreement.order.notice if open_ else 0)
        if on_chain.state is LeaseState.CLOSED or self._block_time >= until:
            raise LeaseLapsed("its notice is over and a voucher has not come")

    def _require_lock(self) -> None:
        """Work beyond the lock would be a gift."""
        segments = self._journal.progress.segments
        done = segments[-1].lease_work if segments else (self._base.lease_work if self._base else 0)
        if self._agreement.full_price_base(done) > self._agreement.on_chain.locked_base:
            raise ProviderFault("the lease's lock is used up", "let the next lease of the order go on")


def _leaves(trace: list[TraceStep]) -> tuple[TraceLeaf, ...]:
    return tuple(
        TraceLeaf(index=index, state_hash=from_hex(step.state_hash, 32), work=step.work)
        for index, step in enumerate(trace)
    )
