"""Accounts, their delegates, what they cancelled, and who provides."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Final

from sqlalchemy import BigInteger, Select, and_, bindparam, func, select, tuple_

from indexer.read.connected import Connected
from indexer.reading import account_row, delegate_row, holds_at
from indexer.rows import AccountRow, DelegateRow, ProviderRow
from indexer.tables import TABLES
from protocol.events import LeaseState
from protocol.hashing import Address, checksum_address, from_hex

_ACCOUNTS: Final = TABLES["account_versions"]
_CANCELLED: Final = TABLES["cancelled"]
_DELEGATES: Final = TABLES["delegate_versions"]
_LEASES: Final = TABLES["leases"]
_STATES: Final = TABLES["lease_versions"]
_AT_BLOCK: Final = bindparam("at_block", type_=BigInteger())


class AccountReads(Connected):
    """`at_block` asks how it was after that block; None is now."""

    def account(self, address: str, *, at_block: int | None = None) -> AccountRow:
        """Zeros if the ledger never saw it."""
        query, values = _at(_account, at_block)
        rows = self._all(query, {**values, "account": from_hex(address, 20)})
        return account_row(checksum_address(address), rows[0] if rows else None)

    def accounts(self, addresses: Iterable[str], *, at_block: int | None = None) -> dict[Address, AccountRow]:
        wanted = {checksum_address(address): from_hex(address, 20) for address in addresses}
        query, values = _at(_accounts, at_block)
        found = {row["account"]: row for row in self._all(query, {**values, "accounts": list(wanted.values())})}
        return {address: account_row(address, found.get(key)) for address, key in wanted.items()}

    def all_accounts(
        self,
        *,
        at_block: int | None = None,
        limit: int = 50,
        before: bytes | None = None,
        after: bytes | None = None,
    ) -> list[AccountRow]:
        """Every account that the ledger saw, by falling address."""
        query = select(_ACCOUNTS).where(holds_at(_ACCOUNTS, at_block))
        rows = self._page(query, (_ACCOUNTS.c.account,), limit, before, after)
        return [account_row(checksum_address(row["account"]), row) for row in rows]

    def delegate(self, buyer: str, key: str) -> DelegateRow | None:
        rows = self._all(_delegate(), {"buyer": from_hex(buyer, 20), "key": from_hex(key, 20)})
        return delegate_row(rows[0]) if rows else None

    def delegates(
        self,
        buyer: str,
        *,
        at_block: int | None = None,
        limit: int = 50,
        before: bytes | None = None,
        after: bytes | None = None,
    ) -> list[DelegateRow]:
        """All keys that a buyer ever approved, with what remains of their caps, by falling address."""
        query = select(_DELEGATES).where(_DELEGATES.c.buyer == from_hex(buyer, 20), holds_at(_DELEGATES, at_block))
        return [delegate_row(row) for row in self._page(query, (_DELEGATES.c.key,), limit, before, after)]

    def cancelled(self, messages: Iterable[tuple[Address, bytes]]) -> set[tuple[Address, bytes]]:
        """Those of the (account, digest) that the account has cancelled."""
        asked = set(messages)
        query = select(_CANCELLED.c.account, _CANCELLED.c.digest).where(
            _CANCELLED.c.account.in_([from_hex(account, 20) for account, _ in asked]),
            _CANCELLED.c.digest.in_([digest for _, digest in asked]),
        )
        return asked & {(checksum_address(row["account"]), row["digest"]) for row in self._all(query)}

    def provider(self, address: str, *, at_block: int | None = None) -> ProviderRow | None:
        """None if it never had a lease."""
        rows = self._providers(_LEASES.c.provider == from_hex(address, 20), at_block=at_block, limit=1)
        return rows[0] if rows else None

    def providers(
        self,
        limit: int = 50,
        *,
        at_block: int | None = None,
        before: tuple[int, bytes] | None = None,
        after: tuple[int, bytes] | None = None,
    ) -> list[ProviderRow]:
        """Those who earned most first; `before` and `after` are (earned_base, address)."""
        return self._providers(at_block=at_block, limit=limit, before=before, after=after)

    def _providers(
        self,
        *where: Any,
        at_block: int | None,
        limit: int,
        before: tuple[int, bytes] | None = None,
        after: tuple[int, bytes] | None = None,
    ) -> list[ProviderRow]:
        version = and_(_STATES.c.lease == _LEASES.c.lease, holds_at(_STATES, at_block))
        earned = func.sum(_STATES.c.paid_base)
        query = (
            select(
                _LEASES.c.provider,
                func.count().label("leases"),
                earned.label("earned_base"),
                func.count().filter(_STATES.c.state != LeaseState.CLOSED).label("open_leases"),
                func.min(_LEASES.c.opened_block).label("first_block"),
                func.max(_LEASES.c.opened_block).label("last_block"),
            )
            .join_from(_LEASES, _STATES, version)
            .where(*where)
            .group_by(_LEASES.c.provider)
            .limit(limit)
        )
        place = tuple_(earned, _LEASES.c.provider)
        if after is not None:
            query = query.having(place > after).order_by(earned, _LEASES.c.provider)
        else:
            query = query.order_by(earned.desc(), _LEASES.c.provider.desc())
            query = query if before is None else query.having(place < before)
        with self._read() as connection:
            rows = connection.execute(query).mappings().all()
            zones = select(_LEASES.c.provider, _LEASES.c.zone).where(
                _LEASES.c.provider.in_([row["provider"] for row in rows])
            )
            if at_block is not None:
                zones = zones.where(_LEASES.c.opened_block <= at_block)
            pairs = connection.execute(zones.distinct().order_by(_LEASES.c.zone)).all()
        found = [
            ProviderRow(
                address=checksum_address(row["provider"]),
                leases=row["leases"],
                earned_base=int(row["earned_base"]),
                open_leases=row["open_leases"],
                zones=tuple([zone for provider, zone in pairs if provider == row["provider"]]),
                first_block=row["first_block"],
                last_block=row["last_block"],
            )
            for row in rows
        ]
        return found if after is None else found[::-1]


# Built once: a request asks for its buyer's account and delegate.
def _at(query: Callable[[Any], Select[Any]], at_block: int | None) -> tuple[Select[Any], dict[str, Any]]:
    return (query(None), {}) if at_block is None else (query(_AT_BLOCK), {"at_block": at_block})


@cache
def _account(at_block: Any) -> Select[Any]:
    return select(_ACCOUNTS).where(_ACCOUNTS.c.account == bindparam("account"), holds_at(_ACCOUNTS, at_block))


@cache
def _accounts(at_block: Any) -> Select[Any]:
    wanted = _ACCOUNTS.c.account.in_(bindparam("accounts", expanding=True))
    return select(_ACCOUNTS).where(wanted, holds_at(_ACCOUNTS, at_block))


@cache
def _delegate() -> Select[Any]:
    return select(_DELEGATES).where(
        _DELEGATES.c.buyer == bindparam("buyer"),
        _DELEGATES.c.key == bindparam("key"),
        _DELEGATES.c.valid_to.is_(None),
    )
