"""The money's own word for a job, from its leases as the mirror has them. Pure."""

from collections.abc import Sequence

from indexer.queries import LeaseRow
from protocol.events import LeaseState
from protocol.wire.jobs import SettlementState


def settlement(leases: Sequence[LeaseRow]) -> SettlementState:
    """unfunded: nothing was locked; escrowed: something is; then released if a provider was paid, else refunded."""
    if not leases:
        return "unfunded"
    if any(lease.state is not LeaseState.CLOSED for lease in leases):
        return "escrowed"
    return "released" if any(lease.paid_base for lease in leases) else "refunded"


def is_over(leases: Sequence[LeaseRow | None]) -> bool:
    """Whether no money of them can move any more; None is a lease that is proposed and may still open."""
    return all(lease is not None and lease.state is LeaseState.CLOSED for lease in leases)
