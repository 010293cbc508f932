"""Buying a job: one transaction holds the job, its signed order and its idempotency key."""

import json
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import NamedTuple

from sqlmodel import Session, col, select

from backend.accounts import caps
from backend.accounts.tables import ApiKeyRow
from backend.errors import NotFound, NotFunded
from backend.events import writing
from backend.files import access
from backend.jobs import idempotency
from backend.jobs.draft import Draft
from backend.jobs.order import check_rate_bps
from backend.jobs.priced import PricedOrder
from backend.jobs.tables import JobRow
from backend.market import Market
from backend.matching import receipts
from backend.operations.requests import current_request_id
from backend.paging import page_of, row_after
from indexer.queries import Reads
from protocol.clock import now_milliseconds, now_time
from protocol.hashing import Address, to_hex
from protocol.ids import first_id, new_id
from protocol.messages import from_json, sign, to_json
from protocol.terms import Order
from protocol.units import format_dollars
from protocol.wire.jobs import ENDED, JobRequest, JobsAsked, Quote


def quote(session: Session, market: Market, key: ApiKeyRow, request: JobRequest) -> Quote:
    """What would happen now; nothing is signed, stored or charged."""
    with market.mirror.snapshot() as mirror:
        return _draft(session, market, mirror, key, request).quote()


def _draft(session: Session, market: Market, mirror: Reads, key: ApiKeyRow, request: JobRequest) -> Draft:
    return Draft(session, market, mirror, Address(key.buyer), Address(key.voucher_signer), request)


@dataclass(frozen=True, slots=True)
class SignedDraft:
    """An order that the buyer's delegate has signed, and that nobody has seen yet."""

    draft: Draft
    signature: bytes


def sign_order(session: Session, market: Market, key: ApiKeyRow, request: JobRequest) -> SignedDraft:
    """All that needs no write, so that none waits for it.

    Raises `NotFunded`, `NotMatched`, `BadManifest`, `BadRequest`.
    """
    with market.mirror.snapshot() as mirror:
        draft = _draft(session, market, mirror, key, request)
        require_served(session, draft)
        _require_money(mirror, key, draft)
    return SignedDraft(draft, sign(market.domain, draft.order, market.hosted.delegate(key.id)))


class Placed(NamedTuple):
    """An order that was just placed, and where it is in the book."""

    order: Order
    entered: receipts.Entered


class Bought(NamedTuple):
    """What a call bought; what was not placed by it was bought by an earlier one."""

    job: JobRow
    placed: Placed | None = None

    @property
    def is_new(self) -> bool:
        return self.placed is not None


def submit(session: Session, key: ApiKeyRow, signed: SignedDraft, idempotency_key: str, body: bytes) -> Bought:
    """Queues the job and counts it against the key's caps; raises `OverCap`.

    A request with the same idempotency key may have been quicker.
    """
    draft, job_id = signed.draft, new_id("job")
    row = idempotency.claim(session, key.buyer, idempotency_key, body, job_id)
    if row is not None:
        return Bought(row)
    caps.commit(session, key, caps.most_base(draft.order), now_time())
    return place(session, draft, signed.signature, job_id=job_id, key_id=key.id, metadata=draft.request.metadata)


def require_served(session: Session, priced: PricedOrder) -> None:
    """Its files are here and some offer meets it; raises `BadRequest`, `NotMatched`.

    Asked before money: without an offer there is no price to fund.
    """
    access.require_readable(session, priced.order.buyer, priced.manifest)
    priced.require_match()


def place(
    session: Session, priced: PricedOrder, signature: bytes, *, job_id: str, key_id: str, metadata: dict[str, str]
) -> Bought:
    """Queues the job of a signed order and enters the order into the book; whatever it asks was checked before.

    `key_id` names the hosted key that signs its vouchers.
    """
    market, order = priced.market, priced.order
    job = writing.insert_row(
        session,
        JobRow,
        id=job_id,
        key_id=key_id,
        buyer=order.buyer,
        job_hash=to_hex(order.job),
        manifest=priced.manifest.canonical().decode(),
        order_digest=to_hex(priced.digest),
        order_message=json.dumps(to_json(order), separators=(",", ":")),
        order_signature=to_hex(signature),
        state="queued",
        segments_total=priced.manifest.total_segments,
        quorum=priced.quorum,
        check_rate_bps=_check_rate_bps(priced),
        extra=json.dumps(metadata),
        # That it is queued.
        event_count=1,
        created_ms=now_milliseconds(),
        request_id=current_request_id(),
    )
    access.belongs_new(session, job.id, access.files_of(priced.manifest))
    return Bought(job, Placed(order, receipts.enter_new(session, market, order)))


def _check_rate_bps(priced: PricedOrder) -> int:
    if priced.manifest.verify != "exact":
        return 0
    chosen = priced.market.settings.check_rate_bps
    return check_rate_bps(priced.order) if chosen is None else chosen


def _require_money(mirror: Reads, key: ApiKeyRow, draft: Draft) -> None:
    """The ledger decides; asking first saves everybody a transaction that would be skipped."""
    require_cap(mirror, draft.order, Address(key.delegate))
    require_free(draft)


def require_cap(mirror: Reads, order: Order, delegate: Address) -> None:
    """The delegate may commit all that the order can cost; raises `NotFunded`."""
    charge = order.budget * order.replicas + order.fee * order.max_leases
    found = mirror.delegate(order.buyer, delegate)
    remaining = found.remaining_base if found and found.until_time > now_time() else 0
    if remaining < charge:
        raise NotFunded(
            f"the order may cost {format_dollars(charge)} ({charge} base units), "
            f"the delegate {delegate} may commit {format_dollars(remaining)} ({remaining})",
            remedy="raise its cap (gridlease account delegate), or lower max_price, limits.work or max_leases",
            needed_base=str(charge),
            remaining_base=str(remaining),
        )


def require_free(priced: PricedOrder) -> None:
    """The account covers the cheapest lease for each replica; raises `NotFunded`."""
    if priced.cheapest is None:
        return
    needed = priced.order.replicas * (priced.lock_base(priced.cheapest) + priced.order.fee)
    if priced.free_base < needed:
        raise NotFunded(
            f"the account has {format_dollars(priced.free_base)} free ({priced.free_base} base units), "
            f"the cheapest leases take {format_dollars(needed)} ({needed}) with their fees",
            remedy=f"deposit {format_dollars(needed - priced.free_base)} or more (gridlease account deposit)",
            free_base=str(priced.free_base),
            needed_base=str(needed),
        )


def order_of(job: JobRow) -> Order:
    """The order that was signed for the job."""
    return read_order(job.order_message)


# Whatever is done for a job asks for its order.
@lru_cache(4096)
def read_order(message: str) -> Order:
    """An order as its job keeps it."""
    return from_json(Order, json.loads(message))


def own_job(session: Session, buyer: str, job_id: str) -> JobRow:
    """Raises `NotFound` for a job of somebody else too."""
    row = session.get(JobRow, job_id)
    if row is None or row.buyer != buyer:
        raise NotFound(f"no job {job_id[:40]}")
    return row


def list_jobs(session: Session, buyer: str, asked: JobsAsked) -> tuple[list[JobRow], str | None]:
    """A page, newest first, and the token of the next one; ids sort by time. Raises `BadRequest`."""
    statement = select(JobRow).where(JobRow.buyer == buyer)
    if asked.state:
        statement = statement.where(col(JobRow.state).in_(asked.state))
    if asked.created_after is not None:
        statement = statement.where(col(JobRow.id) >= first_id("job", ceil(asked.created_after.timestamp() * 1000)))
    if asked.created_before is not None:
        statement = statement.where(col(JobRow.id) < first_id("job", ceil(asked.created_before.timestamp() * 1000)))
    if asked.page_token is not None:
        statement = statement.where(col(JobRow.id) < row_after(asked.page_token, "job"))
    found = session.exec(statement.order_by(col(JobRow.id).desc()).limit(asked.limit + 1)).all()
    return page_of(found, asked.limit, lambda row: row.id)


def end_job(session: Session, job: JobRow, state: str, failure: str | None = None) -> None:
    """Ends a job once; a job that has ended stays as it is."""
    if job.state in ENDED:
        return
    job.state = state
    job.failure = failure
    job.ended_ms = now_milliseconds()
    session.add(job)
