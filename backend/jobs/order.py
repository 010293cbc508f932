"""From a job request to the order that the market signs for its buyer. Pure: what it needs is passed in."""

import secrets
from dataclasses import dataclass, replace

from backend.errors import BadRequest
from backend.jobs.policy import needed, order_expiry
from protocol.hashing import Address
from protocol.manifest import Manifest
from protocol.terms import Order
from protocol.units import METER_WORK, lock_up, parse_dollars, units_up
from protocol.wire.jobs import JobRequest

RATE_CEILING = 2**32 - 1
BUDGET_CEILING = 2**48 - 1
MOST_LEASES = 16
LEASES_PER_REPLICA = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderContext:
    """What the request does not say."""

    buyer: Address
    voucher_signer: Address
    matcher: Address
    #: base units per open
    fee_base: int
    notice_seconds: int
    #: unix seconds
    now_time: int
    #: the buyer's
    epoch: int
    #: pico-dollars: cheapest live offer; caps an order without a price
    market_rate: int | None


def build_order(request: JobRequest, manifest: Manifest, context: OrderContext) -> Order:
    """The order with its budget. `max_price` bounds everything, fees included; without it the cap is twice the market.

    The budget is a lane's. Twice one lock leaves room to open a successor while its predecessor's notice still runs.
    """
    quantity = units_up(manifest.limits.work)
    max_leases = leases_of(request)
    max_rate, budget = _price(request, quantity, context.fee_base * max_leases, context.market_rate)
    # The lanes run side by side, the leases of one lane after each other.
    expiry = order_expiry(request, -(-max_leases // request.replicas), context.now_time)
    return Order(
        buyer=context.buyer,
        voucher_signer=context.voucher_signer,
        job=manifest.job_hash(),
        **needed(request.needs, manifest),
        meter=METER_WORK,
        max_rate=max_rate,
        quantity=quantity,
        duration=request.duration_seconds,
        budget=budget,
        replicas=request.replicas,
        max_leases=max_leases,
        notice=context.notice_seconds,
        matcher=context.matcher,
        matcher_until=expiry,
        fee=context.fee_base,
        expiry=expiry,
        epoch=context.epoch,
        salt=secrets.randbits(256),
    )


def at_price(order: Order, request: JobRequest, market_rate: int | None) -> Order:
    """The order as `build_order` would have made it of a request with these prices."""
    max_rate, budget = _price(request, order.quantity, order.fee * order.max_leases, market_rate)
    return replace(order, max_rate=max_rate, budget=budget)


def leases_of(request: JobRequest) -> int:
    """Leases in all; raises `BadRequest` if not every replica can have one."""
    if request.max_leases is None:
        return min(MOST_LEASES, LEASES_PER_REPLICA * request.replicas)
    if request.max_leases < request.replicas:
        raise BadRequest(
            f"{request.replicas} replicas need as many leases, max_leases is {request.max_leases}",
            remedy="raise max_leases, or leave it out",
        )
    return request.max_leases


def quorum_of(replicas: int, asked: int | None) -> int:
    """Replicas that must agree; raises `BadRequest` for a minority.

    It is the market's to keep. In the order it would ask for an arbiter, and hosted orders have none.
    """
    majority = replicas // 2 + 1
    if asked is None:
        return majority
    if not majority <= asked <= replicas:
        raise BadRequest(
            f"a quorum of {asked} is not more than half of {replicas} replicas, and at most all",
            remedy=f"set quorum from {majority} to {replicas}, or leave it out",
        )
    return asked


def check_rate_bps(order: Order) -> int:
    """How often, in 1/10,000, a segment must be run again so that a lie costs more than it gains, rounded up.

    At least 1 / (1 + bond / price), where the price is the most that one lease can be paid.
    """
    price = min(lock_up(order.max_rate, order.quantity), order.budget)
    return -(-10_000 * price // (price + order.bond)) if price else 0


def _price(request: JobRequest, quantity: int, fees: int, market_rate: int | None) -> tuple[int, int]:
    """(most pico-dollars per metered unit, base units of budget for each lane)."""
    wanted = request.max_rate or min(RATE_CEILING, 2 * (market_rate or RATE_CEILING))
    if request.max_price is None:
        return wanted, min(BUDGET_CEILING, 2 * lock_up(wanted, quantity))
    ceiling = (parse_dollars(request.max_price) - fees) // request.replicas
    if ceiling <= 0:
        raise BadRequest(
            f"max_price {request.max_price} does not cover the fees of {leases_of(request)} leases ({fees} base units)",
            remedy="raise max_price or lower max_leases",
        )
    affordable = ceiling * 10**6 // quantity
    if affordable == 0:
        raise BadRequest(
            "max_price gives less than one pico-dollar per unit", remedy="raise max_price or lower limits.work"
        )
    return min(wanted, affordable), min(ceiling, BUDGET_CEILING)
