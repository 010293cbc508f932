"""Leases, what was claimed and disputed of them, and what was paid."""

from collections.abc import Iterable
from functools import cache
from typing import Any, Final, TypedDict, Unpack

from sqlalchemy import BigInteger, Select, bindparam, select

from indexer.levels import finality_of
from indexer.read.connected import Connected
from indexer.reading import claim_row, dispute_row, holds_at, lease_row, payment_row, select_leases
from indexer.rows import ClaimRow, DisputeRow, Holder, LeaseRow, PaymentRow, Place, Total
from indexer.tables import TABLES
from protocol.events import LeaseState
from protocol.hashing import checksum_address, from_hex

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
        values = {"lease": lease} if at_block is None else {"lease": lease, "at_block": at_block}
        with self._read():
            rows = self._leases(self._all(_lease(is_past=at_block is not None), values))
        return rows[0] if rows else None

    def leases_by_id(self, leases: Iterable[bytes]) -> dict[bytes, LeaseRow]:
        wanted = list(leases)
        with self._read():
            return {row.lease: row for row in self._leases(self._all(_leases_by_id(), {"leases": wanted}))}

    def holders(self, leases: Iterable[bytes]) -> dict[bytes, Holder]:
        """Of those that are open or were; a tenth of the work of `leases_by_id`."""
        rows = self._all(_holders(), {"leases": list(leases)})
        providers = {row["provider"]: checksum_address(row["provider"]) for row in rows}
        return {row["lease"]: Holder(providers[row["provider"]], row["opened_block"]) for row in rows}

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
            query, values = _wanted_leases(wanted)
            return self._leases(self._page(query, _PLACE, limit, before, after, values))

    def count_leases(self, **wanted: Unpack[LeasesWanted]) -> Total:
        query, values = _wanted_leases(wanted)
        return self._count(query, _LEASES.c.opened_block, values)

    def job(self, job_hash: bytes, *, at_block: int | None = None) -> list[LeaseRow]:
        """The newest leases that run this manifest."""
        return self.leases(job=job_hash, limit=200, at_block=at_block)

    def _leases(self, rows: Iterable[Any]) -> list[LeaseRow]:
        progress = self._progress()
        final, confirmed = progress["finalized_number"], (progress["number"] or 0) - self._confirmations + 1
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
        query, values = _wanted_payments(wanted)
        return [payment_row(row) for row in self._page(query, order, limit, before, after, values)]

    def results(self, leases: Iterable[bytes], *, at_block: int | None = None) -> list[bytes]:
        """The result hashes that `last` vouchers of these leases accepted, in order."""
        query = select(_PAYMENTS.c.result).where(_PAYMENTS.c.lease.in_(list(leases)), _PAYMENTS.c.last)
        if at_block is not None:
            query = query.where(_PAYMENTS.c.block_number <= at_block)
        return [row["result"] for row in self._all(query.distinct().order_by(_PAYMENTS.c.result))]

    def count_payments(self, **wanted: Unpack[PaymentsWanted]) -> Total:
        query, values = _wanted_payments(wanted)
        return self._count(query, _PAYMENTS.c.block_number, values)


# Built once: every usage receipt asks for its lease.
@cache
def _lease(*, is_past: bool) -> Select[Any]:
    at_block = bindparam("at_block", type_=BigInteger()) if is_past else None
    return select_leases(at_block).where(_LEASES.c.lease == bindparam("lease"))


@cache
def _leases_by_id() -> Select[Any]:
    return select_leases().where(_LEASES.c.lease.in_(bindparam("leases", expanding=True)))


@cache
def _holders() -> Select[Any]:
    columns = (_LEASES.c.lease, _LEASES.c.provider, _LEASES.c.opened_block)
    return select(*columns).where(_LEASES.c.lease.in_(bindparam("leases", expanding=True)))


def _wanted_leases(wanted: LeasesWanted) -> tuple[Select[Any], dict[str, Any]]:
    buyer, provider = wanted.get("buyer"), wanted.get("provider")
    values = {
        "order": wanted.get("order"),
        "buyer": from_hex(buyer, 20) if buyer else None,
        "provider": from_hex(provider, 20) if provider else None,
        "job": wanted.get("job"),
        "state": wanted.get("state"),
        "at_block": wanted.get("at_block"),
    }
    given = {name: value for name, value in values.items() if value is not None}
    return _leases_by(frozenset(given)), given


@cache
def _leases_by(names: frozenset[str]) -> Select[Any]:
    at_block = bindparam("at_block", type_=BigInteger()) if "at_block" in names else None
    conditions = {
        "order": _LEASES.c.order_digest == bindparam("order"),
        "buyer": _LEASES.c.buyer == bindparam("buyer"),
        "provider": _LEASES.c.provider == bindparam("provider"),
        "job": _LEASES.c.job == bindparam("job"),
        "state": _STATES.c.state == bindparam("state"),
        "at_block": _LEASES.c.opened_block <= bindparam("at_block"),
    }
    return select_leases(at_block).where(*[conditions[name] for name in sorted(names)])


def _wanted_payments(wanted: PaymentsWanted) -> tuple[Select[Any], dict[str, Any]]:
    provider = wanted.get("provider")
    values = {
        "lease": wanted.get("lease"),
        "provider": from_hex(provider, 20) if provider else None,
        "at_block": wanted.get("at_block"),
    }
    given = {name: value for name, value in values.items() if value is not None}
    return _payments_by(frozenset(given)), given


@cache
def _payments_by(names: frozenset[str]) -> Select[Any]:
    conditions = {
        "lease": _PAYMENTS.c.lease == bindparam("lease"),
        "provider": _PAYMENTS.c.provider == bindparam("provider"),
        "at_block": _PAYMENTS.c.block_number <= bindparam("at_block"),
    }
    return select(_PAYMENTS).where(*[conditions[name] for name in sorted(names)])
