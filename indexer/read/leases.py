"""Leases, what was claimed and disputed of them, and what was paid."""

from collections.abc import Iterable
from typing import Any, Final, TypedDict, Unpack

from sqlalchemy import Select, select

from indexer.commit import TABLES, read_cursor
from indexer.levels import finality_of
from indexer.read.connected import Connected
from indexer.reading import claim_row, dispute_row, holds_at, lease_row, payment_row, select_leases
from indexer.rows import ClaimRow, DisputeRow, LeaseRow, PaymentRow, Place, Total
from protocol.events import LeaseState
from protocol.hashing import from_hex

_CLAIMS: Final = TABLES["claim_versions"]
_DISPUTES: Final = TABLES["disputes"]
_LEASES: Final = TABLES["leases"]
_PAYMENTS: Final = TABLES["payments"]
_STATES: Final = TABLES["lease_versions"]
_PLACE: Final = (_LEASES.c.opened_block, _LEASES.c.opened_log_index)


class LeasesWanted(TypedDict, total=False):
    """Filters add up; `at_block` asks how the leases were after that block."""

    order: bytes | None
    buyer: str | None
    provider: str | None
    job: bytes | None
    state: LeaseState | None
    at_block: int | None


class PaymentsWanted(TypedDict, total=False):
    """Filters add up."""

    lease: bytes | None
    provider: str | None
    at_block: int | None


class LeaseReads(Connected):
    """Leases and payments."""

    _confirmations: int = 1

    def lease(self, lease: bytes, *, at_block: int | None = None) -> LeaseRow | None:
        with self._read():
            rows = self._rows(self._all(select_leases(at_block).where(_LEASES.c.lease == lease)))
        return rows[0] if rows else None

    def leases_by_id(self, leases: Iterable[bytes]) -> dict[bytes, LeaseRow]:
        with self._read():
            rows = self._rows(self._all(select_leases().where(_LEASES.c.lease.in_(list(leases)))))
        return {row.lease: row for row in rows}

    def leases(
        self,
        *,
        limit: int = 50,
        before: Place | None = None,
        after: Place | None = None,
        **wanted: Unpack[LeasesWanted],
    ) -> list[LeaseRow]:
        """Newest first; `before` and `after` are (opened_block, opened_log_index) of a row that was read."""
        with self._read():
            return self._rows(self._page(_wanted_leases(wanted), _PLACE, limit, before, after))

    def count_leases(self, **wanted: Unpack[LeasesWanted]) -> Total:
        return self._count(_wanted_leases(wanted), _LEASES.c.opened_block)

    def job(self, job_hash: bytes, *, at_block: int | None = None) -> list[LeaseRow]:
        """The newest leases that run this manifest."""
        return self.leases(job=job_hash, limit=200, at_block=at_block)

    def _rows(self, rows: Iterable[Any]) -> list[LeaseRow]:
        with self._read() as connection:
            cursor = read_cursor(connection)
        final, confirmed = cursor.finalized_number, (cursor.number or 0) - self._confirmations + 1
        return [lease_row(row, finality_of(row["opened_block"], final, confirmed)) for row in rows]

    def claim(self, lease: bytes, *, at_block: int | None = None) -> ClaimRow | None:
        """What its provider claims, or has committed to."""
        row = self._first(select(_CLAIMS).where(_CLAIMS.c.lease == lease, holds_at(_CLAIMS, at_block)))
        return None if row is None else claim_row(row)

    def dispute(self, lease: bytes, *, at_block: int | None = None) -> DisputeRow | None:
        query = select(_DISPUTES).where(_DISPUTES.c.lease == lease)
        row = self._first(query if at_block is None else query.where(_DISPUTES.c.block_number <= at_block))
        return None if row is None else dispute_row(row)

    def payments(
        self,
        *,
        limit: int = 50,
        before: Place | None = None,
        after: Place | None = None,
        **wanted: Unpack[PaymentsWanted],
    ) -> list[PaymentRow]:
        """Newest first; `before` and `after` are (block_number, log_index)."""
        order = (_PAYMENTS.c.block_number, _PAYMENTS.c.log_index)
        return [payment_row(row) for row in self._page(_wanted_payments(wanted), order, limit, before, after)]

    def count_payments(self, **wanted: Unpack[PaymentsWanted]) -> Total:
        return self._count(_wanted_payments(wanted), _PAYMENTS.c.block_number)


def _wanted_leases(wanted: LeasesWanted) -> Select[Any]:
    buyer, provider, at_block = wanted.get("buyer"), wanted.get("provider"), wanted.get("at_block")
    cells = [
        (_LEASES.c.order_digest, wanted.get("order")),
        (_LEASES.c.buyer, from_hex(buyer, 20) if buyer else None),
        (_LEASES.c.provider, from_hex(provider, 20) if provider else None),
        (_LEASES.c.job, wanted.get("job")),
        (_STATES.c.state, wanted.get("state")),
    ]
    query = select_leases(at_block).where(*[column == value for column, value in cells if value is not None])
    return query if at_block is None else query.where(_LEASES.c.opened_block <= at_block)


def _wanted_payments(wanted: PaymentsWanted) -> Select[Any]:
    provider, at_block = wanted.get("provider"), wanted.get("at_block")
    cells = [
        (_PAYMENTS.c.lease, wanted.get("lease")),
        (_PAYMENTS.c.provider, from_hex(provider, 20) if provider else None),
    ]
    query = select(_PAYMENTS).where(*[column == value for column, value in cells if value is not None])
    return query if at_block is None else query.where(_PAYMENTS.c.block_number <= at_block)
