"""Which pending intents the next transaction of a key carries: what saves gas, as long as nobody waits for it."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import bindparam, select
from sqlmodel import Session, col

from backend.submission.tables import IntentRow
from indexer import prepared

SIZES: Final = {"open": 50, "redeem": 100, "close_last": 100, "close": 1, "finalise": 1}
"""How many intents one transaction carries; the ledger has no batch for the last two."""

MATCHER_KINDS: Final = ("open", "close")
"""The ledger takes these from the orders' `matcher` only."""

SETTLEMENT_KINDS: Final = ("redeem", "close_last", "finalise")
"""Anybody may send these, so that a key of their own can."""


# Built once: each step runs them.
_PENDING: Final = select(col(IntentRow.kind)).where(col(IntentRow.state) == "pending").distinct()
_DUE: Final = (
    select(col(IntentRow.id), col(IntentRow.subject), col(IntentRow.payload), col(IntentRow.created_time))
    .where(col(IntentRow.kind) == bindparam("kind"), col(IntentRow.state) == "pending")
    .order_by(col(IntentRow.id))
    .limit(bindparam("most"))
)


class Due(NamedTuple):
    """A pending intent; see `IntentRow`."""

    id: int
    subject: str
    payload: str
    created_time: int


def pending_kinds(session: Session) -> set[str]:
    """Of which there is something to be sent, though it may wait for company."""
    return {kind for (kind,) in prepared.rows(session.connection(), _PENDING, {})}


def due(session: Session, kind: str, now_time: int, redeem_wait_seconds: int) -> list[Due]:
    """The oldest that one transaction can carry; none while a redeem may still find company."""
    rows = [Due(*row) for row in prepared.rows(session.connection(), _DUE, {"kind": kind, "most": SIZES[kind]})]
    if kind == "open":
        # One transaction commits to one auction's book.
        return [row for row in rows if row.payload == rows[0].payload]
    if kind == "redeem" and _may_wait(rows, now_time, redeem_wait_seconds):
        return []
    return rows


def _may_wait(rows: Sequence[Due], now_time: int, seconds: int) -> bool:
    """A clock that was set back makes nobody wait."""
    return 0 < len(rows) < SIZES["redeem"] and rows[0].created_time <= now_time < rows[0].created_time + seconds
