"""Bundles: one file that proves something about the ledger against a block hash, offline (SPEC "Proofs").

Whatever a bundle says is either bound by its path to the block hash or refused: no member is free, none may be added,
and the file has one spelling. So a file with any other byte fails.
"""

from protocol.bundle.absence import VerifiedAbsence, verify_absence, write_absence
from protocol.bundle.event import VerifiedEvent, event_member, verify_event, write_event
from protocol.bundle.history import VerifiedHistory, replay, verify_history, write_history
from protocol.bundle.lease import VerifiedLease, verify_lease, write_lease
from protocol.bundle.verify import Verified, peek, verify

__all__ = [
    "Verified",
    "VerifiedAbsence",
    "VerifiedEvent",
    "VerifiedHistory",
    "VerifiedLease",
    "event_member",
    "peek",
    "replay",
    "verify",
    "verify_absence",
    "verify_event",
    "verify_history",
    "verify_lease",
    "write_absence",
    "write_event",
    "write_history",
    "write_lease",
]
