"""Current rows of the mirror, for the fold: asked one by one, or fetched together for all that a step is about."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import RowMapping, and_, select
from sqlalchemy.engine import Connection

from indexer.decoded import OPENED, DecodedBlock
from indexer.projections import Account, Delegate, Lease
from indexer.tables import TABLES
from protocol.events import EVENTS, EndReason, LeaseState

_ACCOUNTS: Final = TABLES["account_versions"]
_DELEGATES: Final = TABLES["delegate_versions"]
_LEASES: Final = TABLES["leases"]
_STATES: Final = TABLES["lease_versions"]
#: SQLite takes some 32,000 parameters a statement
_TOGETHER: Final = 1000


class StoredRows:
    """What holds now; what was fetched before is not asked again, not even that there is nothing."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._accounts: dict[bytes, Account | None] = {}
        self._leases: dict[bytes, Lease | None] = {}

    def account(self, account: bytes) -> Account | None:
        if account not in self._accounts:
            self.fetch_accounts([account])
        return self._accounts[account]

    def lease(self, lease: bytes) -> Lease | None:
        if lease not in self._leases:
            self.fetch_leases([lease])
        return self._leases[lease]

    def delegate(self, buyer: bytes, key: bytes) -> Delegate | None:
        here = and_(_DELEGATES.c.buyer == buyer, _DELEGATES.c.key == key, _DELEGATES.c.valid_to.is_(None))
        row = self._connection.execute(select(_DELEGATES).where(here)).mappings().one_or_none()
        if row is None:
            return None
        return Delegate(buyer=buyer, key=key, remaining_base=row["remaining_base"], until_time=row["until_time"])

    def fetch_accounts(self, accounts: Sequence[bytes]) -> None:
        """Together."""
        self._accounts |= dict.fromkeys(accounts)
        query = select(_ACCOUNTS).where(_ACCOUNTS.c.valid_to.is_(None))
        for row in self._rows(query, _ACCOUNTS.c.account, accounts):
            self._accounts[row["account"]] = _account(row)

    def fetch_leases(self, leases: Sequence[bytes]) -> list[Lease]:
        """Together; returns those that there are."""
        self._leases |= dict.fromkeys(leases)
        terms = (_LEASES.c.buyer, _LEASES.c.provider, _LEASES.c.locked_base, _LEASES.c.bond_base)
        query = (
            select(_STATES, *terms)
            .join(_LEASES, _LEASES.c.lease == _STATES.c.lease)
            .where(_STATES.c.valid_to.is_(None))
        )
        for row in self._rows(query, _STATES.c.lease, leases):
            self._leases[row["lease"]] = _lease(row)
        return [found for lease in leases if (found := self._leases[lease]) is not None]

    def _rows(self, query: Any, column: Any, keys: Iterable[bytes]) -> Iterator[RowMapping]:
        wanted = list(keys)
        for start in range(0, len(wanted), _TOGETHER):
            some = wanted[start : start + _TOGETHER]
            yield from self._connection.execute(query.where(column.in_(some))).mappings()


#: as `EVENTS`: whether the first field is a lease, and which indexed fields are accounts
_FIELDS: Final = [
    (
        next(iter(kind.TYPES)) == "lease",
        [place for place, solidity in enumerate(list(kind.TYPES.values())[: kind.INDEXED]) if solidity == "address"],
    )
    for kind in EVENTS
]


class Named(NamedTuple):
    """What the events of some blocks name."""

    #: by the event that opens them
    opened: set[bytes]
    #: by other events
    leases: set[bytes]
    accounts: set[bytes]


def named_in(blocks: Iterable[DecodedBlock]) -> Named:
    """Without both sides of leases, which not every event names."""
    named = Named(set(), set(), set())
    for block in blocks:
        for kind, cells, _, _ in block.events:
            of_lease, places = _FIELDS[kind]
            if of_lease:
                (named.opened if kind == OPENED else named.leases).add(cells[0])
            for place in places:
                named.accounts.add(cells[place])
    return named


def prefetch(stored: StoredRows, blocks: Iterable[DecodedBlock]) -> None:
    """Fetches the leases and accounts that these blocks name, and both sides of the leases."""
    named = named_in(blocks)
    accounts = named.accounts
    for lease in stored.fetch_leases(list(named.leases | named.opened)):
        accounts |= {lease.buyer, lease.provider}
    stored.fetch_accounts(list(accounts))


def _account(row: RowMapping) -> Account:
    return Account(
        account=row["account"],
        free_base=row["free_base"],
        locked_base=row["locked_base"],
        bonded_base=row["bonded_base"],
        open_leases=row["open_leases"],
        epoch=row["epoch"],
        guarded=row["guarded"],
        beneficiary=row["beneficiary"],
    )


def _lease(row: RowMapping) -> Lease:
    return Lease(
        lease=row["lease"],
        buyer=row["buyer"],
        provider=row["provider"],
        locked_base=row["locked_base"],
        bond_base=row["bond_base"],
        paid_base=row["paid_base"],
        refunded_base=row["refunded_base"],
        deadline_time=row["deadline_time"],
        state=LeaseState(row["state"]),
        reason=EndReason(row["reason"]),
        done=row["done"],
        early=row["early"],
        responded=row["responded"],
        penalty_base=row["penalty_base"],
        closed_block=row["closed_block"],
        closed_tx=row["closed_tx"],
    )
