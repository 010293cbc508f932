"""Whom an event concerns, by its kind: the accounts that its fields name, and whether its lease's sides. Pure."""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, Final

from indexer.decoded import OF_LEASE
from protocol.events import EVENTS, ClaimCommitted, DelegateApproved, DelegateCharged, LeaseClaimed, LedgerEvent

_Accounts = Callable[[Sequence[Any]], tuple[bytes, ...]]


def _accounts_of(kind: type[LedgerEvent]) -> _Accounts:
    # A voucher signer is a key, which owns nothing.
    places = [
        place
        for place, (name, solidity) in enumerate(kind.TYPES.items())
        if solidity == "address" and name != "voucher_signer"
    ]
    if len(places) > 1:
        return itemgetter(*places)
    return lambda cells: tuple([cells[place] for place in places])


#: as `protocol.events.EVENTS`: the accounts among an event's cells
ACCOUNTS: Final[list[_Accounts]] = [_accounts_of(kind) for kind in EVENTS]
#: as above: its first field is a lease, whose sides it does not both name itself
SIDES: Final = [OF_LEASE[place] and not {"buyer", "provider"} <= kind.TYPES.keys() for place, kind in enumerate(EVENTS)]
#: kinds that change a delegate: their first fields are its buyer and its key
OF_DELEGATE: Final = frozenset(EVENTS.index(kind) for kind in (DelegateApproved, DelegateCharged))
#: kinds that change a lease's claim
OF_CLAIM: Final = frozenset(EVENTS.index(kind) for kind in (ClaimCommitted, LeaseClaimed))
