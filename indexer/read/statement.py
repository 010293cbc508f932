"""The statement of an account: every movement of its money, with what it had after each."""

from functools import lru_cache
from typing import Any, Final

from sqlalchemy import BigInteger, LargeBinary, Select, and_, bindparam, func, or_

from indexer.read.accounts import AccountReads
from indexer.read.events import EventReads, select_wanted
from indexer.reading import Cells, event_row
from indexer.rows import EventRow, Place, StatementRow
from indexer.statement import MOVING, Change, Terms, changes
from indexer.tables import TABLES
from protocol.hashing import Address, checksum_address, from_hex

_EVENTS: Final = TABLES["events"]
_LEASES: Final = TABLES["leases"]
_PAYMENTS: Final = TABLES["payments"]


class StatementReads(AccountReads, EventReads):
    """One account's money over time."""

    def statement(
        self,
        address: str,
        *,
        at_block: int | None = None,
        limit: int = 50,
        before: Place | None = None,
        after: Place | None = None,
    ) -> list[StatementRow]:
        """Newest first; `before` and `after` are (block_number, log_index). Balances are those after the movement.

        A page costs what its own events cost: what the account had before them is a row of the mirror.
        """
        account = checksum_address(address)
        with self._read():
            moved = self._moved(account, at_block=at_block, limit=limit, before=before, after=after)
            if not moved:
                return []
            oldest, _ = moved[-1]
            balance = self._balance_before(account, oldest.block_number, oldest.log_index)
        rows = []
        for event, change in reversed(moved):
            balance += change
            rows.append(_row(event, change, balance))
        return rows[::-1]

    def _moved(
        self, account: Address, *, at_block: int | None, limit: int, before: Place | None, after: Place | None
    ) -> list[tuple[EventRow, Change]]:
        """`limit` events that moved something of it, newest first.

        Those that only name it (it signs somebody's vouchers, say) are passed over, so one look may not be enough.
        """
        wanted, values = select_wanted({"account": account, "at_block": at_block})
        query, values = _moving(wanted), values | {"me": from_hex(account, 20)}
        found: list[tuple[EventRow, Change]] = []
        while True:
            rows = self._by_seq(query, values, limit, before, after)
            moved = [(event, change) for row in rows for event, change in [_change(account, row)] if change]
            found = found + moved if after is None else moved + found
            if len(rows) < limit or len(found) >= limit:
                return found[:limit] if after is None else found[-limit:]
            edge = rows[-1] if after is None else rows[0]
            place = (edge["block_number"], edge["log_index"])
            before, after = (place, None) if after is None else (None, place)

    def _balance_before(self, account: Address, block_number: int, log_index: int) -> Change:
        """What it had before an event: what it had before the block, and what the block moved until then."""
        row = self.account(account, at_block=block_number - 1)
        balance = Change(free=row.free_base, locked=row.locked_base, bonded=row.bonded_base)
        wanted, values = select_wanted({"account": account, "block_number": block_number})
        bound = values | {"me": from_hex(account, 20), "log_index": log_index}
        for event in self._all(_earlier(_moving(wanted)), bound):
            balance += _change(account, event)[1]
        return balance


@lru_cache(maxsize=64)
def _moving(wanted: Select[Any]) -> Select[Any]:
    """Those that can move money of the account `me`, with their lease's terms and what a close paid.

    Who only opens leases without a fee, or deposits for others, is named by many events that move nothing of it: they
    are left out here, where that costs least.
    """
    me = bindparam("me", type_=LargeBinary())
    # The account is the first indexed field of both, a word after topic 0, its address in the last 20 bytes.
    is_its_own = func.substr(_EVENTS.c.topics, 32 + 12 + 1, 20) == me
    is_party = or_(_LEASES.c.buyer == me, _LEASES.c.provider == me)
    gets_fee = and_(_EVENTS.c.kind == "LeaseOpened", _LEASES.c.opener == me, _LEASES.c.fee_base > 0)
    may_move = or_(
        and_(_EVENTS.c.kind.in_(("Deposited", "Withdrawn")), is_its_own),
        _EVENTS.c.kind.in_(("LeaseDisputed", "LeaseRuled", "DisputeLapsed")),
        is_party,
        gets_fee,
    )
    return (
        wanted.join(_LEASES, _LEASES.c.lease == _EVENTS.c.lease, isouter=True)
        .join(_PAYMENTS, _PAYMENTS.c.seq == _EVENTS.c.seq, isouter=True)
        .where(_EVENTS.c.kind.in_(MOVING), may_move)
        .add_columns(_LEASES.c.buyer, _LEASES.c.provider, _LEASES.c.bond_base, _PAYMENTS.c.amount_base)
    )


@lru_cache(maxsize=64)
def _earlier(moving: Select[Any]) -> Select[Any]:
    """Those of a block that come before the event `log_index`."""
    return moving.where(_EVENTS.c.log_index < bindparam("log_index", type_=BigInteger()))


def _change(account: Address, row: Cells) -> tuple[EventRow, Change]:
    event = event_row(row)
    terms = None
    if row["buyer"] is not None:
        terms = Terms(
            buyer=checksum_address(row["buyer"]),
            provider=checksum_address(row["provider"]),
            bond_base=row["bond_base"],
        )
    return event, changes(event.event, terms, row["amount_base"] or 0).get(account, Change())


def _row(event: EventRow, change: Change, balance: Change) -> StatementRow:
    return StatementRow(
        seq=event.seq,
        kind=event.kind,
        lease=getattr(event.event, "lease", None),
        free_change=change.free,
        locked_change=change.locked,
        bonded_change=change.bonded,
        free_base=balance.free,
        locked_base=balance.locked,
        bonded_base=balance.bonded,
        block_number=event.block_number,
        block_hash=event.block_hash,
        block_time=event.block_time,
        tx_hash=event.tx_hash,
        log_index=event.log_index,
    )
