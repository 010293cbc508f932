"""Buying a job: one transaction holds the job, its signed order and its idempotency key."""

import json
from typing import Final

from sqlmodel import Session, col, select

from backend.accounts import caps
from backend.accounts.tables import ApiKeyRow
from backend.errors import NotFound, NotFunded, NotMatched
from backend.files import access
from backend.jobs import idempotency
from backend.jobs.order import OrderContext, build_order, check_rate_bps, quorum_of
from backend.jobs.tables import JobRow
from backend.market import Market
from backend.matching import receipts
from backend.matching.book import BookOffer, BookOrder, Pairing
from backend.matching.explain import Explanation, explain
from backend.matching.policy import match
from backend.operations.requests import current_request_id
from protocol.clock import now_milliseconds, now_time
from protocol.hashing import Address, checksum_address, to_hex
from protocol.ids import new_id
from protocol.manifest import Manifest
from protocol.messages import digest, from_json, sign, to_json
from protocol.resources import RUNTIME_TRAITS
from protocol.terms import Order
from protocol.units import lock_up
from protocol.wire.jobs import ENDED, JobRequest, Quote, Refusal
from protocol.zones import zone_by_number

_EXAMPLES: Final = 5


class Draft:
    """A request turned into an unsigned order, with the book that it was priced against."""

    def __init__(self, session: Session, market: Market, key: ApiKeyRow, request: JobRequest) -> None:
        self.market = market
        self.request = request
        self.manifest = Manifest.parse(request.manifest)
        self.book = market.live_book.lately(session)
        account = market.mirror.account(Address(key.buyer))
        context = OrderContext(
            buyer=checksum_address(key.buyer),
            voucher_signer=checksum_address(key.voucher_signer),
            matcher=market.submission_key.address,
            fee_base=market.settings.fee_base,
            notice_seconds=max(market.settings.notice_seconds, market.deployment.min_notice),
            now_time=max(now_time(), market.mirror.status().block_time),
            epoch=account.epoch,
            market_rate=min((entry.offer.rate for entry in self.book if _serves(entry, self.manifest)), default=None),
        )
        self.order: Order = build_order(request, self.manifest, context)
        self.quorum = quorum_of(request)
        self.free_base = account.free_base

    @property
    def digest(self) -> bytes:
        return digest(self.market.domain, self.order)

    def entry(self) -> BookOrder:
        return BookOrder(
            digest=self.digest, order=self.order, fills=tuple(range(self.order.replicas)), arrived=now_milliseconds()
        )

    def refusals(self) -> list[Explanation]:
        return explain(self.book, self.entry(), self.market.deployment.min_notice)


def _serves(entry: BookOffer, manifest: Manifest) -> bool:
    return bool(entry.offer.traits >> RUNTIME_TRAITS[manifest.runtime] & 1)


def quote(session: Session, market: Market, key: ApiKeyRow, request: JobRequest) -> Quote:
    """What would happen now; nothing is signed, stored or charged."""
    draft = Draft(session, market, key, request)
    pairings = match(draft.book, [draft.entry()], market.deployment.min_notice)
    chosen = pairings[0].offer if pairings else None
    zone = zone_by_number(chosen.offer.zone) if chosen else None
    return Quote(
        job_hash=to_hex(draft.order.job),
        would_match=chosen is not None,
        offer=to_hex(chosen.digest) if chosen else None,
        provider=chosen.offer.provider if chosen else None,
        zone=zone.id if zone else None,
        rate=chosen.offer.rate if chosen else None,
        lock_base=sum(_lock_base(pairing, draft.order) for pairing in pairings) if chosen else None,
        fee_base=draft.order.fee * draft.order.replicas,
        offers=len(draft.book),
        refusals=[_shown(refusal) for refusal in draft.refusals()],
    )


def _lock_base(pairing: Pairing, order: Order) -> int:
    return min(lock_up(pairing.offer.offer.rate, order.quantity), order.budget)


def _shown(refusal: Explanation) -> Refusal:
    zone = zone_by_number(refusal.entry.offer.zone)
    return Refusal(
        offer=to_hex(refusal.entry.digest),
        provider=refusal.entry.offer.provider,
        zone=zone.id if zone else None,
        reason=refusal.skip.name.lower(),
        remedy=refusal.remedy,
    )


def submit(
    session: Session, market: Market, key: ApiKeyRow, request: JobRequest, idempotency_key: str, body: bytes
) -> JobRow:
    """Signs the order and queues the job; raises `NotFunded`, `OverCap`, `NotMatched`, `BadManifest`, `BadRequest`."""
    draft = Draft(session, market, key, request)
    access.require_readable(session, Address(key.buyer), draft.manifest)
    # First whether anybody would serve it: without an offer there is no price to fund.
    _require_match(draft)
    _require_money(market, key, draft)
    caps.commit(session, key, caps.most_base(draft.order), now_time())
    order, signer = draft.order, market.hosted.delegate(key.id)
    job = JobRow(
        id=new_id("job"),
        key_id=key.id,
        buyer=key.buyer,
        job_hash=to_hex(order.job),
        manifest=draft.manifest.canonical().decode(),
        order_digest=to_hex(draft.digest),
        order_message=json.dumps(to_json(order), separators=(",", ":")),
        order_signature=to_hex(sign(market.domain, order, signer)),
        state="queued",
        segments_total=draft.manifest.total_segments,
        quorum=draft.quorum,
        check_rate_bps=_check_rate_bps(market, draft),
        extra=json.dumps(request.metadata),
        created_ms=now_milliseconds(),
        request_id=current_request_id(),
    )
    session.add(job)
    access.belongs(session, job.id, access.files_of(draft.manifest), access.EVERY_LANE)
    receipts.enter(session, market, order)
    idempotency.remember(session, key.buyer, idempotency_key, body, job)
    return job


def _check_rate_bps(market: Market, draft: Draft) -> int:
    if draft.manifest.verify != "exact":
        return 0
    chosen = market.settings.check_rate_bps
    return check_rate_bps(draft.order) if chosen is None else chosen


def _require_money(market: Market, key: ApiKeyRow, draft: Draft) -> None:
    """The ledger decides; asking first saves everybody a transaction that would be skipped."""
    order = draft.order
    charge = order.budget * order.replicas + order.fee * order.max_leases
    delegate = market.mirror.delegate(order.buyer, Address(key.delegate))
    remaining = delegate.remaining_base if delegate and delegate.until_time > now_time() else 0
    if remaining < charge:
        raise NotFunded(
            f"the order may cost {charge} base units, the delegate {key.delegate} may commit {remaining}",
            remedy="raise its cap (gridlease account delegate), or lower max_price, limits.work or max_leases",
            needed_base=str(charge),
            remaining_base=str(remaining),
        )
    cheapest = min((lock_up(entry.offer.rate, order.quantity) for entry in draft.book), default=0)
    needed = order.replicas * (min(cheapest, order.budget) + order.fee)
    if draft.free_base < needed:
        raise NotFunded(
            f"the account has {draft.free_base} base units free, the order takes at least {needed} with its fees",
            remedy="deposit (gridlease account deposit)",
            free_base=str(draft.free_base),
        )


def _require_match(draft: Draft) -> None:
    """An order that no live offer could ever meet is refused now; one that only has to wait is queued."""
    refusals = draft.refusals()
    waiting = [refusal for refusal in refusals if refusal.skip.name == "CAPACITY"]
    hopeless = {refusal.entry.digest for refusal in refusals} - {refusal.entry.digest for refusal in waiting}
    fitting = [entry.offer for entry in draft.book if entry.digest not in hopeless]
    providers = len({offer.provider for offer in fitting})
    zones = len({offer.zone for offer in fitting})
    if min(providers, zones if draft.order.distinct_zones else providers) >= draft.order.replicas:
        return
    if fitting:
        raise NotMatched(
            f"{draft.order.replicas} replicas need as many providers; {providers} in {zones} zones meet the order",
            remedy="ask for fewer replicas" + (", or not for distinct zones" if draft.order.distinct_zones else ""),
        )
    nearest = refusals[0].remedy if refusals else "no provider is online; try again later"
    raise NotMatched(
        f"none of {len(draft.book)} live offers meets the order",
        remedy=nearest,
        refusals=[_shown(refusal).model_dump(mode="json") for refusal in refusals[:_EXAMPLES]],
    )


def order_of(job: JobRow) -> Order:
    """The order that was signed for the job."""
    return from_json(Order, json.loads(job.order_message))


def own_job(session: Session, buyer: str, job_id: str) -> JobRow:
    """Raises `NotFound` for a job of somebody else too."""
    row = session.get(JobRow, job_id)
    if row is None or row.buyer != buyer:
        raise NotFound(f"no job {job_id[:40]}")
    return row


def list_jobs(session: Session, buyer: str, before: str | None, limit: int) -> list[JobRow]:
    """Newest first; ids sort by time."""
    statement = select(JobRow).where(JobRow.buyer == buyer)
    if before:
        statement = statement.where(col(JobRow.id) < before)
    return list(session.exec(statement.order_by(col(JobRow.id).desc()).limit(limit)))


def end_job(session: Session, job: JobRow, state: str, failure: str | None = None) -> None:
    """Ends a job once; a job that has ended stays as it is."""
    if job.state in ENDED:
        return
    job.state = state
    job.failure = failure
    job.ended_ms = now_milliseconds()
    session.add(job)
