"""Usage receipts in (SPEC "Vouchers", "Replicas"): what a provider sends is checked, kept, and judged at once.

Several of one call are one piece of work: what is known of their jobs is read together. Whatever can be refused is
refused before anything is written for it, so one that is refused leaves nothing and costs the others nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, NamedTuple

from sqlalchemy import bindparam
from sqlmodel import Session, col, select

from backend import crash_points
from backend.accounts.service import Principal
from backend.errors import NotFound, UsageRefused, status_of
from backend.events import writing
from backend.files import access
from backend.jobs.pinning import pin_leases
from backend.jobs.service import order_of
from backend.jobs.tables import JobRow
from backend.leases.acting import judge_all
from backend.leases.facts import ChainNow, chain_now
from backend.leases.reading import Read, Reading, Terms
from backend.leases.requirements import (
    require_committed,
    require_next,
    require_result,
    require_running,
    require_same,
    require_signed,
)
from backend.leases.segments import Step, steps_of
from backend.leases.service import lane_of
from backend.leases.tables import LeaseIntention, UsageRow
from backend.leases.vouchers import countersign_ahead, voucher_of
from backend.market import Market
from backend.offers.presence import hear_now
from indexer import prepared
from protocol.clock import now_time
from protocol.errors import GridleaseError
from protocol.hashing import Address, from_hex, to_hex
from protocol.wire.leases import Waiting


class Vouched(NamedTuple):
    """A segment's voucher as it is stored."""

    #: camelCase JSON
    message: str
    signature: str


Answer = Vouched | Waiting | GridleaseError
"""Of one usage receipt; an error is what it is refused with."""

# Built once: every usage receipt runs it.
_NAMED: Final = (
    col(UsageRow.provider) == bindparam("provider"),
    col(UsageRow.lease).in_(bindparam("leases", expanding=True)),
    col(UsageRow.sequence).in_(bindparam("sequences", expanding=True)),
)
_SENT: Final = select(UsageRow).where(*_NAMED)
_IS_SENT: Final = select(col(UsageRow.lease)).where(*_NAMED).limit(1)


@dataclass(frozen=True, slots=True)
class _Sent:
    """One usage receipt, with its place in the call."""

    place: int
    read: Read
    intention: LeaseIntention
    job: JobRow

    @property
    def key(self) -> tuple[str, int]:
        return self.intention.lease, self.read.receipt.sequence


def report_usage(
    session: Session, market: Market, caller: Principal, lease: str, report: Reading, terms: Terms | None = None
) -> Vouched | Waiting:
    """Checks and keeps one segment, and answers with its voucher once it is accepted; the same again asks again."""
    answer = _received(session, market, caller, [(to_hex(from_hex(lease, 32)), report)], terms)[0]
    if isinstance(answer, GridleaseError):
        raise answer
    return answer


def report_usages(
    session: Session, market: Market, caller: Principal, reports: Sequence[Reading], terms: Terms | None = None
) -> dict[int, Answer]:
    """The same for some, by their places. One without an answer is to be sent alone: somebody else has its job.

    One that is alone waits for its job, and is always answered.
    """
    named = [(report.lease if isinstance(report, Read) else None, report) for report in reports]
    return _received(session, market, caller, named, terms)


def _received(
    session: Session,
    market: Market,
    caller: Principal,
    reports: Sequence[tuple[str | None, Reading]],
    terms: Terms | None,
) -> dict[int, Answer]:
    """Each with the lease that it is for, if it names one."""
    hear_now(session, caller.address, market.settings.silence_seconds)
    pinned = pin_leases(session, caller.address, list({lease for lease, _ in reports if lease is not None}))
    answers: dict[int, Answer] = {}
    sent = []
    for place, (lease, report) in enumerate(reports):
        if lease in pinned.busy:
            continue
        found = pinned.leases.get(lease) if lease is not None else None
        if lease is not None and found is None:
            answers[place] = NotFound(f"no lease {lease} of {caller.address}")
        elif not isinstance(report, Read):
            answers[place] = report
        elif found is not None:
            sent.append(_Sent(place, report, *found))
    with chain_now(market, terms.chain if terms is not None else None) as chain:
        for some in _waves(sent):
            for one, answer in _judged(session, market, some, chain):
                answers[one.place] = answer
    return answers


def _waves(sent: Iterable[_Sent]) -> Iterator[list[_Sent]]:
    """Each with one of a job at most: what follows another of its job is looked at when that was judged."""
    by_job: defaultdict[str, list[_Sent]] = defaultdict(list)
    for one in sent:
        by_job[one.job.id].append(one)
    while by_job:
        yield [queue.pop(0) for queue in by_job.values()]
        by_job = defaultdict(list, {job_id: queue for job_id, queue in by_job.items() if queue})


def _judged(session: Session, market: Market, sent: Sequence[_Sent], chain: ChainNow) -> Iterator[tuple[_Sent, Answer]]:
    """What each came to. They are of different jobs."""
    before = _sent_before(session, sent)
    # One read for all.
    chain.leases(one.intention.lease for one in sent)
    steps = steps_of(session, {one.job.id for one in sent})
    rows: list[tuple[_Sent, UsageRow]] = []
    new: list[UsageRow] = []
    for one in sent:
        known = before.get(one.key)
        try:
            row = _kept(session, market, one, known, steps, chain)
        except GridleaseError as error:
            if status_of(error) >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            yield one, error
        else:
            rows.append((one, row))
            if known is None:
                new.append(row)
    undecided = [(one, row) for one, row in rows if row.verdict == "waiting"]
    if undecided:
        ahead = {one.key: one.read.voucher for one, _ in undecided if one.read.voucher is not None}
        judge_all(session, market, [one.job for one, _ in undecided], chain, new, ahead)
        crash_points.reach("voucher.signed")
    with writing.together(session):
        for one, row in undecided:
            if row.verdict == "waiting":
                writing.change(session, one.intention, progress_time=row.received_time)
    signatures = [(one.intention, one.read.countersigned) for one, _ in rows]
    countersign_ahead(session, market, [(lease, signed) for lease, signed in signatures if signed is not None])
    for one, row in rows:
        yield one, _answer(one.job, row)


def _sent_before(session: Session, sent: Sequence[_Sent]) -> dict[tuple[str, int], UsageRow]:
    """By lease and segment, to the provider that has the lease."""
    if not sent:
        return {}
    leases, sequences = zip(*(one.key for one in sent), strict=True)
    asked = {"provider": sent[0].intention.provider, "leases": leases, "sequences": sequences}
    if not prepared.rows(session.connection(), _IS_SENT, asked):
        # As nearly always.
        return {}
    return {(row.lease, row.sequence): row for row in session.exec(_SENT, params=asked)}


def _answer(job: JobRow, row: UsageRow) -> Vouched | Waiting:
    if row.verdict != "waiting" and row.voucher_message is not None and row.voucher_signature is not None:
        return Vouched(row.voucher_message, row.voucher_signature)
    return Waiting(sequence=row.sequence, waiting_for="check" if job.state == "verifying" else "replicas")


def _kept(
    session: Session,
    market: Market,
    one: _Sent,
    row: UsageRow | None,
    steps: defaultdict[tuple[str, int], list[Step]],
    chain: ChainNow,
) -> UsageRow:
    """Its row, of now or of before; one of now is still to be stored. Raises what it is refused with."""
    if row is not None and row.verdict != "lapsed":
        require_same(row, one.read.receipt)
        if row.verdict == "waiting" or voucher_of(row) is None:
            require_running(one.intention, one.job, chain)
        return row
    require_running(one.intention, one.job, chain)
    require_signed(one.intention, one.read)
    return _taken_in(session, market, one, steps[one.job.id, lane_of(one.job, one.intention)], lapsed=row)


def _taken_in(
    session: Session, market: Market, one: _Sent, before: Sequence[Step], *, lapsed: UsageRow | None
) -> UsageRow:
    """Its new row. Where a reorg took back what the lease had sent before, that one's voucher stays good.

    That is the row's place already: the new one is stored there.
    """
    intention, job, receipt, report = one.intention, one.job, one.read.receipt, one.read.report
    require_next(job, intention, before, receipt, report)
    if order_of(job).replicas > 1:
        require_committed(session, market, intention, receipt, report)
    info = require_result(market, job, before, one.read) if report.result is not None else None
    _keep_files(session, market, one)
    sent = writing.new_row(
        UsageRow,
        lease=intention.lease,
        provider=intention.provider,
        sequence=receipt.sequence,
        job_id=job.id,
        lane=lane_of(job, intention),
        verdict="waiting",
        receipt_message=one.read.message,
        receipt_signature=report.signature,
        state_hash=report.step.state_hash,
        job_work=report.step.work,
        lease_work=receipt.work,
        checkpoint_cid=one.read.checkpoint,
        result_info=info,
        log_text=report.log_text,
        received_time=now_time(),
    )
    if lapsed is None:
        return sent
    for name in ("voucher_message", "voucher_signature", "cumulative_base", "signed_time"):
        setattr(sent, name, getattr(lapsed, name))
    return session.merge(sent)


def _keep_files(session: Session, market: Market, one: _Sent) -> None:
    """The segment's files are the job's from now on; they must be the provider's to give. Raises `UsageRefused`."""
    report = one.read.report
    if report.result is not None:
        made, lane = [output.cid for output in report.result.outputs], access.NO_LANE
    else:
        made, lane = [one.read.checkpoint], access.lane_of(one.job, one.intention.fill)
    for cid in made:
        if market.files.size(cid) is None or not access.may_read(session, Address(one.intention.provider), cid):
            what = "checkpoint" if report.result is None else "output"
            raise UsageRefused(f"the {what} file {cid} is not here", remedy="PUT it to /v1/files/{cid} first")
    access.belongs(session, one.job.id, made, lane)
