"""One call for a bundle of any kind."""

from collections.abc import Callable, Collection
from typing import Any, Final, TypeAlias

from protocol.bundle.absence import ABSENCE_KIND, VerifiedAbsence, check_absence
from protocol.bundle.event import EVENT_KIND, VerifiedEvent, check_event
from protocol.bundle.file import load
from protocol.bundle.history import HISTORY_KIND, VerifiedHistory, check_history
from protocol.bundle.lease import LEASE_KIND, VerifiedLease, check_lease
from protocol.errors import BadProof

Verified: TypeAlias = VerifiedEvent | VerifiedLease | VerifiedAbsence | VerifiedHistory

_CHECKS: Final[dict[str, Callable[[dict[str, Any], Collection[bytes]], Verified]]] = {
    EVENT_KIND: check_event,
    LEASE_KIND: check_lease,
    ABSENCE_KIND: check_absence,
    HISTORY_KIND: check_history,
}


def verify(data: bytes, trusted: Collection[bytes] = ()) -> Verified:
    """What a bundle proves, given the hashes of blocks that are known to be of the chain.

    Without any it proves only "if these blocks are of the chain", and `trusted` of the answer is False. Raises
    `BadProof` with the step that fails.
    """
    content = load(data)
    kind = content.get("kind")
    if not isinstance(kind, str) or kind not in _CHECKS:
        raise BadProof("file", f"kind must be one of {', '.join(_CHECKS)}")
    return _CHECKS[kind](content, trusted)
