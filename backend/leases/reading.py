"""Usage reports as they come in: what can be found out before their transaction begins, so that no writer waits for it.

Nothing here decides. What is found follows from the report alone, or is asked for again by the terms that it was found
with: where the transaction finds others, it is worked out anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple

from sqlalchemy import bindparam
from sqlmodel import col, select

from backend.jobs.tables import JobRow
from backend.leases.facts import ChainNow, chain_now
from backend.leases.results import job_result
from backend.leases.tables import LeaseIntention
from backend.leases.vouchers import Countersigned, SignedAhead, compact, earned_voucher, signed_ahead
from backend.market import Market
from indexer import prepared
from indexer.queries import LeaseRow
from protocol.errors import GridleaseError
from protocol.hashing import Address, cid_of, from_hex, to_hex
from protocol.messages import Domain, from_json, recover, to_json
from protocol.terms import UsageReceipt
from protocol.wire.jobs import ResultInfo
from protocol.wire.leases import UsageReport

# Built once: every call runs it. By nothing but the leases: SQLite would look through all of the provider's.
_TERMS: Final = (
    select(col(LeaseIntention.lease), col(LeaseIntention.provider), col(JobRow.job_hash), col(JobRow.key_id))
    .join(JobRow, col(JobRow.id) == col(LeaseIntention.job_id))
    .where(col(LeaseIntention.lease).in_(bindparam("leases", expanding=True)), col(LeaseIntention.state) != "ended")
)


class CheckedResult(NamedTuple):
    """A job's result as it was reported."""

    result_hash: bytes
    #: ResultInfo as JSON
    info: str


@dataclass
class Read:
    """A usage report whose receipt can be read, and what was found out about it: each once, when it is asked for."""

    domain: Domain
    report: UsageReport
    receipt: UsageReceipt
    #: the voucher that is due if nothing happens meanwhile
    voucher: SignedAhead | None = None
    _results: dict[str, CheckedResult] = field(default_factory=dict)

    @cached_property
    def lease(self) -> str:
        """0x hex."""
        return to_hex(self.receipt.lease)

    @cached_property
    def signer(self) -> Address | GridleaseError:
        """Of the usage receipt, or why there is none."""
        try:
            return recover(self.domain, self.receipt, from_hex(self.report.signature, 65))
        except GridleaseError as error:
            return error

    @cached_property
    def message(self) -> str:
        """The usage receipt as it is stored."""
        return compact(to_json(self.receipt))

    @cached_property
    def checkpoint(self) -> str:
        """Its CID."""
        return cid_of(self.receipt.checkpoint)

    @cached_property
    def countersigned(self) -> Countersigned | None:
        """The provider's word on the `last` voucher, if it came along."""
        given = self.report.countersignature
        return Countersigned(self.domain, given) if given is not None else None

    def result_of(self, job_hash: str) -> CheckedResult:
        """What it says that the job gave, which it must. Raises what a result cannot be hashed for."""
        result = self.report.result
        if result is None:
            raise LookupError("no result was sent")
        if job_hash not in self._results:
            result_hash = job_result(job_hash, result).result_hash()
            info = ResultInfo(
                result_hash=to_hex(result_hash),
                status=result.status,
                exit_code=result.exit_code,
                work=result.work,
                outputs=sorted(result.outputs, key=lambda output: output.path),
            )
            self._results[job_hash] = CheckedResult(result_hash, info.model_dump_json())
        return self._results[job_hash]


Reading = Read | GridleaseError
"""A report, or what its usage receipt is refused with."""


def read(domain: Domain, report: UsageReport) -> Reading:
    """Never raises: a report that cannot be read is answered in its turn."""
    try:
        return Read(domain, report, from_json(UsageReceipt, report.usage_receipt))
    except GridleaseError as error:
        return error


@dataclass(frozen=True, slots=True)
class Terms:
    """What was known of one provider's live leases a moment ago, by their ids."""

    #: hash of the manifest, and whose hosted key signs its vouchers
    jobs: dict[str, tuple[str, str]]
    #: None where no lease is known
    chain: ChainNow | None = None


def look(market: Market, provider: Address, reports: Sequence[Reading]) -> Terms:
    """Of the leases that the reports name. Raises `MirrorError`."""
    named = list({one.lease for one in reports if isinstance(one, Read)})
    if not named:
        return Terms({})
    with market.db.read() as session:
        rows = prepared.rows(session.connection(), _TERMS, {"leases": named})
    jobs = {lease: (job_hash, key_id) for lease, owner, job_hash, key_id in rows if owner == provider}
    if not jobs:
        return Terms({})
    with chain_now(market) as chain:
        chain.leases(jobs)
    return Terms(jobs, chain)


def work_out(market: Market, provider: Address, one: Reading, terms: Terms) -> None:
    """All that the transaction will ask for, if the report is what it seems to be; of others nothing."""
    if not isinstance(one, Read) or terms.chain is None or one.lease not in terms.jobs or one.signer != provider:
        return
    (job_hash, key_id), on_chain = terms.jobs[one.lease], terms.chain.leases([one.lease]).get(one.lease)
    _ = one.message, one.checkpoint
    if one.report.result is not None and not _is_hashed(one, job_hash):
        return
    if on_chain is not None and on_chain.provider == provider:
        _sign(market, one, on_chain, key_id)


def _is_hashed(one: Read, job_hash: str) -> bool:
    try:
        return one.result_of(job_hash).result_hash == one.receipt.result
    except (GridleaseError, ValueError, OverflowError):
        # Whatever is wrong with it is said in its turn.
        return False


def _sign(market: Market, one: Read, on_chain: LeaseRow, key_id: str) -> None:
    is_last = one.report.result is not None
    due = earned_voucher(on_chain, one.receipt.work, one.receipt.result, before_base=0, last=is_last)
    one.voucher = signed_ahead(market, due, key_id)
    if is_last and one.countersigned is not None and one.countersigned.signer_of(one.voucher.message) == due.provider:
        one.voucher = one.voucher._replace(countersignature=one.countersigned.signature)
