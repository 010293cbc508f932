"""What is to be done on chain: rows that name it, and the calls that do it."""

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, col, select

from backend.jobs.service import read_order
from backend.jobs.tables import JobRow
from backend.leases.tables import LeaseIntention
from backend.leases.vouchers import last_vouchers
from backend.market import Market
from backend.matching.tables import AuctionRow
from backend.offers.tables import OfferRow
from backend.submission.batches import Due
from backend.submission.tables import LIVE, IntentRow
from indexer import prepared
from protocol.calls import encode_call, signed_voucher, struct_of
from protocol.clock import now_time
from protocol.hashing import from_hex
from protocol.messages import from_json
from protocol.terms import Offer, Order, Voucher

_CHUNK: Final = 500
# Built once: each lease that is given up, and each transaction, runs them.
_ASKED: Final = sa.select(col(IntentRow.subject)).where(
    col(IntentRow.kind) == sa.bindparam("kind"),
    col(IntentRow.subject).in_(sa.bindparam("subjects", expanding=True)),
    col(IntentRow.state).in_(LIVE),
)
_ADD: Final = sa.insert(IntentRow)
_SUBJECTS: Final = (
    sa.select(
        col(LeaseIntention.lease),
        col(LeaseIntention.fill),
        col(LeaseIntention.offer_digest),
        col(LeaseIntention.countersignature),
        col(JobRow.order_message),
        col(JobRow.order_signature),
    )
    .join(JobRow, col(JobRow.id) == col(LeaseIntention.job_id))
    .where(col(LeaseIntention.lease).in_(sa.bindparam("leases", expanding=True)))
)
_OFFERS: Final = sa.select(col(OfferRow.digest), col(OfferRow.message), col(OfferRow.signature)).where(
    col(OfferRow.digest).in_(sa.bindparam("digests", expanding=True))
)


def add(session: Session, kind: str, subject: str, payload: dict[str, Any]) -> None:
    """Asks for it, unless it is asked for already."""
    add_all(session, kind, [(subject, payload)])


def add_all(session: Session, kind: str, wanted: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Asks for each subject with its payload, in this sequence, unless it is asked for already."""
    # Plain statements see only what is written.
    session.flush()
    known: set[str] = set()
    for start in range(0, len(wanted), _CHUNK):
        some = [subject for subject, _ in wanted[start : start + _CHUNK]]
        known |= {
            subject for (subject,) in prepared.rows(session.connection(), _ASKED, {"kind": kind, "subjects": some})
        }
    fields = {"kind": kind, "state": "pending", "created_time": now_time()}
    rows = [
        {**fields, "subject": subject, "payload": json.dumps(payload)}
        for subject, payload in wanted
        if subject not in known
    ]
    prepared.put(session.connection(), _ADD, rows)


def calldata(session: Session, market: Market, kind: str, rows: Sequence[Due]) -> bytes:
    """The call that does them all. Raises `LookupError` where what one of them is about is gone."""
    if kind == "redeem":
        vouchers = [_voucher_tuple(json.loads(row.payload)) for row in rows]
        return encode_call("ComputeLedger", "redeem", vouchers)
    subjects = _subjects(session, [row.subject for row in rows])
    if kind == "open":
        return _open(session, subjects, json.loads(rows[0].payload).get("auction"))
    if kind == "close_last":
        return encode_call("ComputeLedger", "closeLast", _lasts(session, market, subjects))
    order, fill = struct_of(subjects[0].order), subjects[0].fill
    if kind == "close":
        return encode_call("ComputeLedger", "close", order, fill, json.loads(rows[0].payload)["reason"])
    return encode_call("ComputeLedger", "finalise", order, fill)


class _Subject(NamedTuple):
    """What an intent is about."""

    lease: str
    fill: int
    offer_digest: str
    countersignature: str | None
    order_message: str
    order_signature: str

    @property
    def order(self) -> Order:
        return read_order(self.order_message)


def _subjects(session: Session, leases: Sequence[str]) -> list[_Subject]:
    """In their sequence."""
    found = prepared.rows(session.connection(), _SUBJECTS, {"leases": leases})
    by_lease = {row[0]: _Subject(*row) for row in found}
    if gone := set(leases) - by_lease.keys():
        raise LookupError(f"the market has given up lease {min(gone)}")
    return [by_lease[lease] for lease in leases]


def _open(session: Session, subjects: Sequence[_Subject], auction: int | None) -> bytes:
    """Each offer goes in once, however many orders meet it. They are one auction's, and its book is committed to."""
    digests = list(dict.fromkeys(subject.offer_digest for subject in subjects))
    stored = {row.digest: row for row in prepared.named_rows(session.connection(), _OFFERS, {"digests": digests})}
    if gone := set(digests) - stored.keys():
        raise LookupError(f"there is no offer {min(gone)}")
    offers = [
        (struct_of(from_json(Offer, json.loads(stored[digest].message))), from_hex(stored[digest].signature))
        for digest in digests
    ]
    positions = {digest: position for position, digest in enumerate(digests)}
    matches = [
        (
            struct_of(subject.order),
            from_hex(subject.order_signature),
            subject.fill,
            positions[subject.offer_digest],
        )
        for subject in subjects
    ]
    return encode_call("ComputeLedger", "open", offers, matches, _book_root(session, auction))


def _book_root(session: Session, auction: int | None) -> bytes:
    """Zero where the lease was proposed before books were stored."""
    if auction is None:
        return bytes(32)
    return from_hex(session.exec(select(AuctionRow.root).where(AuctionRow.id == auction)).one(), 32)


def _voucher_tuple(signed: dict[str, Any]) -> tuple[Any, ...]:
    voucher = from_json(Voucher, signed["voucher"])
    return signed_voucher(voucher, from_hex(signed["signature"]))


def _lasts(session: Session, market: Market, subjects: Sequence[_Subject]) -> list[tuple[Any, ...]]:
    signed = last_vouchers(session, market, [subject.lease for subject in subjects])
    return [
        (
            struct_of(subject.order),
            subject.fill,
            _voucher_tuple(signed[subject.lease].model_dump()),
            from_hex(subject.countersignature) if subject.countersignature else b"",
        )
        for subject in subjects
    ]
