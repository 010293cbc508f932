"""One call for a bundle of any kind."""

from collections.abc import Callable, Collection
from typing import Any, Final, TypeAlias

from protocol.bundle.absence import ABSENCE_KIND, VerifiedAbsence, check_absence
from protocol.bundle.event import EVENT_KIND, VerifiedEvent, check_event
from protocol.bundle.file import load
from protocol.bundle.history import HISTORY_KIND, VerifiedHistory, check_history
from protocol.bundle.lease import LEASE_KIND, VerifiedLease, check_lease
from protocol.errors import BadProof
from protocol.hashing import to_hex

Verified: TypeAlias = VerifiedEvent | VerifiedLease | VerifiedAbsence | VerifiedHistory

_CHECKS: Final[dict[str, Callable[[dict[str, Any], Collection[bytes]], Verified]]] = {
    EVENT_KIND: check_event,
    LEASE_KIND: check_lease,
    ABSENCE_KIND: check_absence,
    HISTORY_KIND: check_history,
}


def verify(data: bytes, trusted: Collection[bytes] = (), ledger: bytes | None = None) -> Verified:
    """What a bundle proves, given the hashes of blocks that are known to be of the chain.

    Without any it proves only "if these blocks are of the chain", and `trusted` of the answer is False. `ledger` is the
    contract that the reader means; an absence needs it. Raises `BadProof` with the step that fails.
    """
    verified = _verified(load(data), trusted)
    _check_ledger(verified, ledger)
    return verified


def peek(data: bytes) -> Verified:
    """What a bundle claims, checked against itself only: which blocks it stands on, and which ledger it speaks of."""
    return _verified(load(data), ())


def _verified(content: dict[str, Any], trusted: Collection[bytes]) -> Verified:
    kind = content.get("kind")
    if not isinstance(kind, str) or kind not in _CHECKS:
        raise BadProof("file", f"kind must be one of {', '.join(_CHECKS)}")
    return _CHECKS[kind](content, trusted)


def _check_ledger(verified: Verified, ledger: bytes | None) -> None:
    """The proof is about the ledger that the reader means; raises `BadProof`."""
    if ledger is None and isinstance(verified, VerifiedAbsence):
        # Any address is absent from a block that it never touched: nothing in the blocks binds this one.
        raise BadProof("ledger", f"say which ledger you mean: the file is about {verified.ledger}")
    if ledger is not None and verified.ledger.lower() != to_hex(ledger):
        raise BadProof("ledger", f"expected {to_hex(ledger)}, found {verified.ledger}")
