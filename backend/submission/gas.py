"""With how much gas a call is tried before a node is asked to estimate: that costs the node some twenty runs, not one.

By what the contract's own gas tests measure (contracts/snapshots). What needs more, such as orders of contract wallets,
is estimated.
"""

from typing import Final

_GAS: Final = {
    "open": (80_000, 90_000),
    "redeem": (40_000, 20_000),
    "close_last": (50_000, 50_000),
    "close": (20_000, 60_000),
    "finalise": (20_000, 80_000),
}
"""By kind of intent: gas of a transaction, and of each intent that it carries."""


def enough(kind: str, count: int) -> int:
    """For nearly every transaction of so many intents."""
    once, each = _GAS[kind]
    return once + count * each
