"""The shapes of all answers of `/v1/ledger`, by topic."""

from explorer.api.shapes.chain import BlockFact, EventFact, HitFact, TransactionFact
from explorer.api.shapes.envelope import Links, Many, One, TotalFact
from explorer.api.shapes.leases import ClaimFact, DisputeFact, JobFact, LeaseDetail, LeaseFact, PaymentFact
from explorer.api.shapes.people import AccountFact, DelegateFact, MovementFact, ProviderFact
from explorer.api.shapes.progress import AuditFact, IntervalFact, ReorgFact, StatsFact, StatusFact

__all__ = [
    "AccountFact",
    "AuditFact",
    "BlockFact",
    "ClaimFact",
    "DelegateFact",
    "DisputeFact",
    "EventFact",
    "HitFact",
    "IntervalFact",
    "JobFact",
    "LeaseDetail",
    "LeaseFact",
    "Links",
    "Many",
    "MovementFact",
    "One",
    "PaymentFact",
    "ProviderFact",
    "ReorgFact",
    "StatsFact",
    "StatusFact",
    "TotalFact",
    "TransactionFact",
]
