"""The only calls that this market signs (threat R7): five of the ledger's, and a transfer of nothing to itself."""

from functools import cache

from backend.submission.errors import CallNotAllowed
from protocol.calls import selector
from protocol.hashing import Address, to_hex

_CALLS = ("open", "redeem", "close", "closeLast", "finalise")


@cache
def _selectors() -> frozenset[bytes]:
    return frozenset(selector("ComputeLedger", name) for name in _CALLS)


def require_allowed(ledger: Address, sender: Address, to: Address, data: bytes) -> None:
    """Raises `CallNotAllowed`. No value is ever sent."""
    if to == ledger and data[:4] in _selectors():
        return
    if to == sender and not data:
        return
    raise CallNotAllowed(to, to_hex(data[:4]))
