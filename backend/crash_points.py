"""Named places at which a test kills the process, with signal 9, to see what the next one makes of it.

Armed with `attempt.stored` it kills at the first time that it is reached, with `attempt.stored:3` at the third.
Anywhere but in a test nothing is armed, and a place costs one look into an empty dictionary.
"""

import os
import signal
from typing import Final

NAMES: Final = (
    # matching: in the auction's database transaction, and after it
    "auction.stored",
    "proposals.stored",
    "proposals.committed",
    # vouchers: signed and answered for, before and after the commit
    "voucher.signed",
    "voucher.committed",
    # submission, in the order of a transaction's life
    "batch.chosen",
    "attempt.signed",
    "attempt.stored",
    "attempt.broadcast",
    "transaction.marked",
    "intents.released",
    "intents.resolved",
)


#: name → how often it is still passed by
_left: Final[dict[str, int]] = {}


def arm(where: str) -> None:
    """Sets a place; raises `ValueError` for one that is not in the list."""
    name, _, times = where.partition(":")
    if name not in NAMES:
        raise ValueError(f"no crash point {name!r}; there are {', '.join(NAMES)}")
    _left[name] = int(times or 1)


def reach(name: str) -> None:
    """Where the process may be killed."""
    if name in _left:
        _left[name] -= 1
        if _left[name] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
