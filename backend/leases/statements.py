"""What is asked about the leases of some jobs for every usage receipt: statements that are built once.

Their rows are plain: they have the columns' names, change nothing, and show only what is written already.
"""

from typing import Any, Final

from sqlalchemy import BindParameter, Column, Table, and_, bindparam, case, exists, func, select
from sqlmodel import SQLModel

from backend.leases.tables import CheckRow, CommitmentRow, LeaseIntention, UsageRow
from backend.offers.tables import ProviderRow


def _table(kind: type[SQLModel]) -> Table:
    return SQLModel.metadata.tables[str(kind.__tablename__)]


_LEASES: Final = _table(LeaseIntention).c
_USAGES: Final = _table(UsageRow).c
_COMMITMENTS: Final = _table(CommitmentRow).c
_CHECKS: Final = _table(CheckRow).c
_PROVIDERS: Final = _table(ProviderRow).c

_JOB: Final[BindParameter[str]] = bindparam("job")
_JOBS: Final[BindParameter[str]] = bindparam("jobs", expanding=True)
_SAID: Final[tuple[Column[Any], ...]] = (
    _USAGES.job_id,
    _USAGES.lease,
    _USAGES.sequence,
    _USAGES.received_time,
    _USAGES.receipt_message,
    _USAGES.state_hash,
    _USAGES.job_work,
    _USAGES.checkpoint_cid,
    _USAGES.result_info,
)

#: with the time at which its provider was heard, where it ever was, and whether there is more to ask: commitments of
#: the lease, checks of its job
LEASES: Final = (
    select(
        _LEASES.job_id,
        _LEASES.lease,
        _LEASES.fill,
        _LEASES.provider,
        _LEASES.state,
        _LEASES.ended_time,
        _LEASES.base_sequence,
        _LEASES.progress_time,
        _LEASES.proposed_time,
        _PROVIDERS.heard_time,
        exists().where(_COMMITMENTS.lease == _LEASES.lease).label("has_commitments"),
        exists().where(_CHECKS.job_id == _LEASES.job_id).label("has_checks"),
    )
    .join_from(_table(LeaseIntention), _table(ProviderRow), _PROVIDERS.address == _LEASES.provider, isouter=True)
    .where(_LEASES.job_id.in_(_JOBS))
    .order_by(_LEASES.fill)
)

UNDECIDED: Final = select(*_SAID).where(_USAGES.job_id.in_(_JOBS), _USAGES.verdict == "waiting")

ACCEPTED: Final = select(*_SAID).where(
    _USAGES.job_id.in_(_JOBS),
    _USAGES.verdict == "paid",
    _USAGES.sequence.in_(bindparam("sequences", expanding=True)),
)

#: by lease and provider: the last segment that was paid for and not struck, and the base units of the highest voucher,
#: which stays good once it is signed
SUMS: Final = (
    select(
        _USAGES.job_id,
        _USAGES.lease,
        _USAGES.provider,
        func.max(case((_USAGES.verdict == "paid", _USAGES.sequence))).label("paid"),
        func.max(_USAGES.cumulative_base).label("vouched_base"),
    )
    .where(_USAGES.job_id.in_(_JOBS))
    .group_by(_USAGES.job_id, _USAGES.lease, _USAGES.provider)
)

#: what the lanes were paid for, over all their leases
LANES: Final = (
    select(_USAGES.job_id, _USAGES.lane, _USAGES.sequence, _USAGES.state_hash, _USAGES.job_work, _USAGES.checkpoint_cid)
    .where(_USAGES.job_id.in_(_JOBS), _USAGES.verdict == "paid")
    .order_by(_USAGES.sequence)
)

#: by live lease, its newest commitment, where that is not followed by a usage receipt
COMMITTED: Final = (
    select(_LEASES.job_id, _COMMITMENTS.lease, _COMMITMENTS.sequence, _COMMITMENTS.committed_time)
    .join_from(_table(CommitmentRow), _table(LeaseIntention), _LEASES.lease == _COMMITMENTS.lease)
    .join(
        _table(UsageRow),
        and_(
            _USAGES.lease == _COMMITMENTS.lease,
            _USAGES.sequence == _COMMITMENTS.sequence,
            _USAGES.verdict != "lapsed",
        ),
        isouter=True,
    )
    .where(_LEASES.job_id.in_(_JOBS), _LEASES.state != "ended", _USAGES.lease.is_(None))
)

CHECKS: Final = select(
    _CHECKS.job_id, _CHECKS.sequence, _CHECKS.purpose, _CHECKS.state, _CHECKS.found, _CHECKS.why
).where(_CHECKS.job_id.in_(_JOBS), _CHECKS.state != "spent")

_HIGHEST_OF_EACH: Final = (
    select(func.max(_USAGES.cumulative_base).label("most"))
    .join_from(
        _table(UsageRow),
        _table(LeaseIntention),
        and_(_USAGES.lease == _LEASES.lease, _USAGES.provider == _LEASES.provider),
    )
    .where(_LEASES.job_id == _JOB)
    .group_by(_USAGES.lease)
    .subquery()
)
#: base units of the highest vouchers of all leases of a job, each to the provider that has the lease
VOUCHED: Final = select(func.sum(_HIGHEST_OF_EACH.c.most))
