"""What an API key may commit: order totals, counted when an order is signed and never given back, as the ledger counts.

The delegate's cap on chain is the last word; these caps are tighter and cost no transaction to change.
"""

from typing import Final

from sqlalchemy import BigInteger, Integer, bindparam, case, or_, update
from sqlmodel import Session, col

from backend.accounts.tables import ApiKeyRow
from backend.errors import OverCap
from indexer import prepared
from protocol.terms import Order
from protocol.units import format_dollars

DAY_SECONDS: Final = 86_400

_AMOUNT: Final = bindparam("amount", type_=BigInteger())
_TODAY: Final = bindparam("today", type_=Integer())
_OF_TODAY: Final = case((col(ApiKeyRow.day) == _TODAY, col(ApiKeyRow.day_committed_base)), else_=0)
# Built once: every order runs it.
_COUNT: Final = (
    update(ApiKeyRow)
    .where(
        col(ApiKeyRow.id) == bindparam("key"),
        or_(col(ApiKeyRow.cap_base).is_(None), col(ApiKeyRow.committed_base) + _AMOUNT <= ApiKeyRow.cap_base),
        or_(col(ApiKeyRow.daily_cap_base).is_(None), ApiKeyRow.daily_cap_base >= _OF_TODAY + _AMOUNT),
    )
    .values(
        committed_base=col(ApiKeyRow.committed_base) + _AMOUNT,
        day=_TODAY,
        day_committed_base=_OF_TODAY + _AMOUNT,
    )
)


def most_base(order: Order) -> int:
    """Base units that the order can cost at most (DESIGN 4.2): a budget for each lane, a fee for each lease."""
    return order.replicas * order.budget + order.max_leases * order.fee


def commit(session: Session, key: ApiKeyRow, amount_base: int, now: int) -> None:
    """Counts an order against the key's caps, in one statement so that two orders cannot share what is left.

    `now` in unix seconds. Raises `OverCap`, and then nothing is counted.
    """
    today = now // DAY_SECONDS
    values = {"key": key.id, "amount": amount_base, "today": today}
    if prepared.changed(session.connection(), _COUNT, values) != 1:
        _refuse(session, key, amount_base, today)


def left_today_base(key: ApiKeyRow, now: int) -> int | None:
    """Base units that the key may still commit today; None = no such cap."""
    if key.daily_cap_base is None:
        return None
    spent = key.day_committed_base if key.day == now // DAY_SECONDS else 0
    return max(0, key.daily_cap_base - spent)


def left_base(key: ApiKeyRow) -> int | None:
    """Base units that the key may still commit in all; None = no such cap."""
    return None if key.cap_base is None else max(0, key.cap_base - key.committed_base)


def _refuse(session: Session, key: ApiKeyRow, amount_base: int, today: int) -> None:
    row = session.get_one(ApiKeyRow, key.id, populate_existing=True)
    left = left_base(row)
    which, field = ("cap", "cap_base") if left is not None and left < amount_base else ("daily cap", "daily_cap_base")
    if which == "daily cap":
        left = left_today_base(row, today * DAY_SECONDS)
    remaining = left or 0
    raise OverCap(
        f"the order may cost {format_dollars(amount_base)}, the {which} of API key {row.prefix}… leaves "
        f"{format_dollars(remaining)}",
        remedy=f"raise {field} by PATCH /v1/keys/{row.id} with the wallet's session, or lower max_price",
        cap=which.replace(" ", "_"),
        needed_base=str(amount_base),
        remaining_base=str(remaining),
        key_id=row.id,
    )
