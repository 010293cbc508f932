"""The read door: all that explorer and backend see of the mirror. Each call is one snapshot and never waits."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Engine, Select, and_, distinct, func, or_, select, tuple_
from sqlalchemy.engine import Connection, RowMapping
from sqlalchemy.exc import OperationalError, ProgrammingError

from indexer.commit import read_cursor
from indexer.errors import MirrorMissing
from indexer.prove import NoSuchLog, build_proof
from indexer.reading import (
    SEARCHED,
    account_row,
    begins,
    block_row,
    claim_row,
    dispute_row,
    event_row,
    finality_of,
    hit,
    lease_row,
    page,
    payment_row,
    select_events,
    select_leases,
    select_transactions,
    transaction_row,
)
from indexer.rows import (
    AccountRow,
    BlockRow,
    ClaimRow,
    DelegateRow,
    DisputeRow,
    EventRow,
    Finality,
    Hit,
    LeaseRow,
    MirrorStatus,
    PaymentRow,
    Place,
    ProviderRow,
    ReorgRow,
    Stats,
    TransactionRow,
)
from indexer.store import open_reader, sqlite_path
from indexer.tables import TABLES
from protocol.events import LeaseState
from protocol.hashing import Address, checksum_address, from_hex

__all__ = [
    "AccountRow",
    "BlockRow",
    "ClaimRow",
    "DelegateRow",
    "DisputeRow",
    "EventRow",
    "Finality",
    "Hit",
    "LeaseRow",
    "Mirror",
    "MirrorMissing",
    "MirrorStatus",
    "NoSuchLog",
    "PaymentRow",
    "Place",
    "ProviderRow",
    "ReorgRow",
    "Stats",
    "TransactionRow",
]

_ACCOUNTS: Final = TABLES["account_versions"]
_BLOCKS: Final = TABLES["blocks"]
_CANCELLED: Final = TABLES["cancelled"]
_CHAINS: Final = TABLES["chains"]
_CLAIMS: Final = TABLES["claim_versions"]
_DELEGATES: Final = TABLES["delegate_versions"]
_DISPUTES: Final = TABLES["disputes"]
_EVENTS: Final = TABLES["events"]
_LEASES: Final = TABLES["leases"]
_PARTIES: Final = TABLES["parties"]
_PAYMENTS: Final = TABLES["payments"]
_REORGS: Final = TABLES["reorg_journal"]
_STATES: Final = TABLES["lease_versions"]
_TRANSACTIONS: Final = TABLES["transactions"]

_SEARCH_LIMIT: Final = 8
_UNDEFINED_TABLE: Final = "42P01"


class Mirror:
    """One mirror, read only. It may appear later than this object: until then calls raise `MirrorMissing`."""

    def __init__(self, url: str, *, confirmations: int = 1) -> None:
        """`confirmations`: blocks, its own included, that make a lease `confirmed`."""
        self._url = url
        self._path = sqlite_path(url)
        self._confirmations = confirmations
        self._engine: Engine | None = None
        #: inode of the open SQLite file
        self._file: int | None = None

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _open(self) -> Engine:
        """The engine of the file that is there now: a dev chain that starts anew makes another one."""
        file = None
        if self._path is not None:
            try:
                file = os.stat(self._path).st_ino
            except FileNotFoundError:
                self.close()
                raise MirrorMissing(self._url) from None
        if self._engine is None or file != self._file:
            self.close()
            self._engine, self._file = open_reader(self._url), file
        return self._engine

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        engine = self._open()
        try:
            with engine.connect() as connection:
                yield connection
        except (OperationalError, ProgrammingError) as error:
            # SQLite says it in words, PostgreSQL by a code.
            if "no such table" in str(error) or getattr(error.orig, "sqlstate", None) == _UNDEFINED_TABLE:
                raise MirrorMissing(self._url) from error
            raise

    def _all(self, query: Select[Any]) -> Sequence[RowMapping]:
        with self._read() as connection:
            return connection.execute(query).mappings().all()

    def _first(self, query: Select[Any]) -> RowMapping | None:
        with self._read() as connection:
            return connection.execute(query.limit(1)).mappings().first()

    # How far it is

    def status(self) -> MirrorStatus:
        """Raises `MirrorMissing` while not even the deployment's block is stored."""
        with self._read() as connection:
            chain = connection.execute(select(_CHAINS)).mappings().one_or_none()
            if chain is None:
                raise MirrorMissing(self._url)
            cursor = read_cursor(connection)
            time = connection.execute(select(_BLOCKS.c.time).where(_BLOCKS.c.hash == cursor.hash)).scalar()
        if cursor.number is None or cursor.hash is None or time is None:
            raise MirrorMissing(self._url)
        return MirrorStatus(
            chain_id=chain["chain_id"],
            ledger=checksum_address(chain["ledger"]),
            token=checksum_address(chain["token"]),
            deploy_block=chain["deploy_block"],
            block_number=cursor.number,
            block_hash=cursor.hash,
            block_time=time,
            head=cursor.head,
            proved_number=cursor.proved_number,
            finalized_number=cursor.finalized_number,
            reorg_epoch=cursor.reorg_epoch,
            halted=cursor.halted,
        )

    def stats(self) -> Stats:
        current = and_(_STATES.c.lease == _LEASES.c.lease, _STATES.c.valid_to.is_(None))
        with self._read() as connection:
            row = (
                connection.execute(
                    select(
                        func.count().label("leases"),
                        func.count().filter(_STATES.c.state != LeaseState.CLOSED).label("open_leases"),
                        func.coalesce(func.sum(_STATES.c.paid_base), 0).label("paid_base"),
                        func.coalesce(func.sum(_LEASES.c.fee_base), 0).label("fees_base"),
                        func.count(distinct(_LEASES.c.provider)).label("providers"),
                        func.count(distinct(_LEASES.c.buyer)).label("buyers"),
                    ).join_from(_LEASES, _STATES, current)
                )
                .mappings()
                .one()
            )
            events = read_cursor(connection).event_count
            blocks = connection.execute(select(func.count()).where(_BLOCKS.c.canonical)).scalar_one()
        figures = {name: int(value) for name, value in row.items()}
        return Stats(**figures, events=events, blocks=blocks)

    def reorgs(self, limit: int = 50) -> list[ReorgRow]:
        rows = self._all(select(_REORGS).order_by(_REORGS.c.reorg_epoch.desc()).limit(limit))
        return [
            ReorgRow(
                epoch=row["reorg_epoch"],
                fork_number=row["ancestor_number"] + 1,
                old_head=row["old_hash"],
                new_head=row["new_hash"],
                depth=row["depth"],
                rows_undone=row["events_undone"],
                at=row["seen_time"],
            )
            for row in rows
        ]

    # Accounts

    def account(self, address: str) -> AccountRow:
        """Zeros if the ledger never saw it."""
        return self.accounts([checksum_address(address)])[checksum_address(address)]

    def accounts(self, addresses: Iterable[str]) -> dict[Address, AccountRow]:
        wanted = {checksum_address(address): from_hex(address, 20) for address in addresses}
        query = select(_ACCOUNTS).where(_ACCOUNTS.c.account.in_(wanted.values()), _ACCOUNTS.c.valid_to.is_(None))
        found = {row["account"]: row for row in self._all(query)}
        return {address: account_row(address, found.get(key)) for address, key in wanted.items()}

    def delegate(self, buyer: str, key: str) -> DelegateRow | None:
        row = self._first(
            select(_DELEGATES).where(
                _DELEGATES.c.buyer == from_hex(buyer, 20),
                _DELEGATES.c.key == from_hex(key, 20),
                _DELEGATES.c.valid_to.is_(None),
            )
        )
        if row is None:
            return None
        return DelegateRow(
            buyer=checksum_address(row["buyer"]),
            key=checksum_address(row["key"]),
            remaining_base=row["remaining_base"],
            until_time=row["until_time"],
        )

    def cancelled(self, messages: Iterable[tuple[Address, bytes]]) -> set[tuple[Address, bytes]]:
        """Those of the (account, digest) that the account has cancelled."""
        asked = set(messages)
        query = select(_CANCELLED.c.account, _CANCELLED.c.digest).where(
            _CANCELLED.c.account.in_([from_hex(account, 20) for account, _ in asked]),
            _CANCELLED.c.digest.in_([digest for _, digest in asked]),
        )
        return asked & {(checksum_address(row["account"]), row["digest"]) for row in self._all(query)}

    def provider(self, address: str) -> ProviderRow | None:
        """None if it never had a lease."""
        rows = self._providers(1, _LEASES.c.provider == from_hex(address, 20))
        return rows[0] if rows else None

    def providers(self, limit: int = 50) -> list[ProviderRow]:
        """Those who earned most first."""
        return self._providers(limit)

    def _providers(self, limit: int, *where: Any) -> list[ProviderRow]:
        current = and_(_STATES.c.lease == _LEASES.c.lease, _STATES.c.valid_to.is_(None))
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
            .join_from(_LEASES, _STATES, current)
            .where(*where)
            .group_by(_LEASES.c.provider)
            .order_by(earned.desc(), _LEASES.c.provider)
            .limit(limit)
        )
        with self._read() as connection:
            rows = connection.execute(query).mappings().all()
            pairs = connection.execute(
                select(_LEASES.c.provider, _LEASES.c.zone)
                .where(_LEASES.c.provider.in_([row["provider"] for row in rows]))
                .distinct()
                .order_by(_LEASES.c.zone)
            ).all()
        return [
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

    # Leases and payments

    def lease(self, lease: bytes) -> LeaseRow | None:
        return self.leases_by_id([lease]).get(lease)

    def leases_by_id(self, leases: Iterable[bytes]) -> dict[bytes, LeaseRow]:
        rows = self._leases(select_leases().where(_LEASES.c.lease.in_(list(leases))))
        return {row.lease: row for row in rows}

    def leases(
        self,
        *,
        order: bytes | None = None,
        buyer: str | None = None,
        provider: str | None = None,
        job: bytes | None = None,
        state: LeaseState | None = None,
        limit: int = 50,
        before: Place | None = None,
    ) -> list[LeaseRow]:
        """Newest first; `before` is (opened_block, opened_log_index) of the last row of the page before."""
        wanted = [
            (_LEASES.c.order_digest, order),
            (_LEASES.c.buyer, from_hex(buyer, 20) if buyer else None),
            (_LEASES.c.provider, from_hex(provider, 20) if provider else None),
            (_LEASES.c.job, job),
            (_STATES.c.state, state),
        ]
        query = select_leases().where(*[column == value for column, value in wanted if value is not None])
        return self._leases(page(query, _LEASES.c.opened_block, _LEASES.c.opened_log_index, limit, before))

    def job(self, job_hash: bytes) -> list[LeaseRow]:
        """All leases that run this manifest, newest first."""
        return self.leases(job=job_hash, limit=200)

    def _leases(self, query: Select[Any]) -> list[LeaseRow]:
        with self._read() as connection:
            rows = connection.execute(query).mappings().all()
            cursor = read_cursor(connection)
        final, confirmed = cursor.finalized_number, (cursor.number or 0) - self._confirmations + 1
        return [lease_row(row, finality_of(row["opened_block"], final, confirmed)) for row in rows]

    def claim(self, lease: bytes) -> ClaimRow | None:
        """What its provider claims, or has committed to."""
        row = self._first(select(_CLAIMS).where(_CLAIMS.c.lease == lease, _CLAIMS.c.valid_to.is_(None)))
        return None if row is None else claim_row(row)

    def dispute(self, lease: bytes) -> DisputeRow | None:
        row = self._first(select(_DISPUTES).where(_DISPUTES.c.lease == lease))
        return None if row is None else dispute_row(row)

    def payments(
        self, *, lease: bytes | None = None, provider: str | None = None, limit: int = 50, before: Place | None = None
    ) -> list[PaymentRow]:
        """Newest first; `before` is (block_number, log_index)."""
        wanted = [
            (_PAYMENTS.c.lease, lease),
            (_PAYMENTS.c.provider, from_hex(provider, 20) if provider else None),
        ]
        query = select(_PAYMENTS).where(*[column == value for column, value in wanted if value is not None])
        rows = self._all(page(query, _PAYMENTS.c.block_number, _PAYMENTS.c.log_index, limit, before))
        return [payment_row(row) for row in rows]

    # Events, transactions, blocks

    def events(
        self,
        *,
        lease: bytes | None = None,
        account: str | None = None,
        tx_hash: bytes | None = None,
        block_number: int | None = None,
        kind: str | None = None,
        canonical: bool | None = True,
        limit: int = 50,
        before: Place | None = None,
    ) -> list[EventRow]:
        """Newest first; `before` is (block_number, log_index); `canonical` None gives orphaned ones too.

        With an account, canonical ones only.
        """
        wanted = [
            (_EVENTS.c.lease, lease),
            (_TRANSACTIONS.c.hash, tx_hash),
            (_EVENTS.c.block_number, block_number),
            (_EVENTS.c.kind, kind),
            (_EVENTS.c.canonical, canonical),
        ]
        query = select_events().where(*[column == value for column, value in wanted if value is not None])
        if account is not None:
            concerns = select(_PARTIES.c.seq).where(_PARTIES.c.account == from_hex(account, 20))
            query = query.where(_EVENTS.c.canonical, _EVENTS.c.seq.in_(concerns))
        rows = self._all(page(query, _EVENTS.c.block_number, _EVENTS.c.log_index, limit, before))
        return [event_row(row) for row in rows]

    def transaction(self, tx_hash: bytes) -> TransactionRow | None:
        """The canonical one; where there is none, an orphaned one."""
        row = self._first(
            select_transactions()
            .where(_TRANSACTIONS.c.hash == tx_hash)
            .order_by(_BLOCKS.c.canonical.desc(), _TRANSACTIONS.c.block_number.desc())
        )
        return None if row is None else transaction_row(row)

    def account_transactions(self, address: str, limit: int = 50, before: Place | None = None) -> list[TransactionRow]:
        """Sent by it, to it, or with an event that concerns it; `before` is (block_number, tx_index)."""
        account = from_hex(address, 20)
        concerns = (
            select(_EVENTS.c.block_hash, _EVENTS.c.tx_index)
            .join(_PARTIES, and_(_PARTIES.c.seq == _EVENTS.c.seq, _EVENTS.c.canonical))
            .where(_PARTIES.c.account == account)
        )
        query = select_transactions().where(
            _BLOCKS.c.canonical,
            or_(
                _TRANSACTIONS.c.sender == account,
                _TRANSACTIONS.c.recipient == account,
                tuple_(_TRANSACTIONS.c.block_hash, _TRANSACTIONS.c.tx_index).in_(concerns),
            ),
        )
        rows = self._all(page(query, _TRANSACTIONS.c.block_number, _TRANSACTIONS.c.tx_index, limit, before))
        return [transaction_row(row) for row in rows]

    def block(self, number_or_hash: int | bytes) -> BlockRow | None:
        """By number the canonical one; by hash also one that was orphaned."""
        if isinstance(number_or_hash, int):
            here = and_(_BLOCKS.c.number == number_or_hash, _BLOCKS.c.canonical)
        else:
            here = _BLOCKS.c.hash == number_or_hash
        row = self._first(select(_BLOCKS).where(here))
        return None if row is None else block_row(row)

    def blocks(self, limit: int = 50, before: int | None = None) -> list[BlockRow]:
        """Canonical, newest first, below block `before`."""
        query = select(_BLOCKS).where(_BLOCKS.c.canonical).order_by(_BLOCKS.c.number.desc()).limit(limit)
        rows = self._all(query if before is None else query.where(_BLOCKS.c.number < before))
        return [block_row(row) for row in rows]

    def search(self, text: str) -> list[Hit]:
        """What begins with these hex digits: leases, transactions, blocks, jobs, accounts."""
        digits = text.strip().lower().removeprefix("0x")
        if not digits or len(digits) > 64 or not set(digits) <= set("0123456789abcdef"):
            return []
        hits: list[Hit] = []
        with self._read() as connection:
            for kind, column in SEARCHED:
                query = select(column).where(begins(column, digits)).distinct().limit(_SEARCH_LIMIT)
                hits += [hit(kind, value) for value in connection.execute(query).scalars()]
        return hits

    def proof(self, tx_hash: bytes, log_index: int) -> bytes:
        """The canonical proof.json of one log of the ledger, from what is stored; raises `NoSuchLog`."""
        with self._read() as connection:
            return build_proof(connection, tx_hash, log_index)
