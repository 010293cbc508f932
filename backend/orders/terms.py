"""Whether this market can serve an order that it did not write: pure, the order against the market's rules."""

from dataclasses import dataclass
from typing import Final

from backend.errors import OrderRefused
from backend.jobs.policy import needed
from protocol.fit import MAX_NOTICE_SECONDS, is_sound
from protocol.hashing import ZERO_ADDRESS, Address, to_hex
from protocol.manifest import Manifest
from protocol.resources import lanes_cover
from protocol.terms import Order
from protocol.units import METER_WORK, units_up
from protocol.wire.jobs import Needs

MAX_ORDER_SECONDS: Final = 30 * 24 * 3600
"""A book entry is told of in each auction until its order expires, so none may last for ever."""
_AGAIN: Final = "prepare it anew (POST /v1/orders/prepare) and sign that"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRules:
    """What holds for an order in this market now. Times in seconds."""

    matcher: Address
    #: the hosted key of the order's buyer
    voucher_signer: Address
    #: base units per open
    fee_base: int
    notice_seconds: int
    min_notice: int
    #: the buyer's
    epoch: int
    #: unix seconds
    now_time: int


def require_terms(order: Order, manifest: Manifest, rules: OrderRules) -> None:
    """Raises `OrderRefused` with the first term that does not hold, and what it would have to be."""
    checks = (
        *_of_the_job(order, manifest),
        (
            order.voucher_signer == rules.voucher_signer,
            f"voucherSigner is {order.voucher_signer}, whose vouchers this market cannot sign",
            f"set it to {rules.voucher_signer}, this market's key for the buyer",
        ),
        (
            order.matcher in (rules.matcher, ZERO_ADDRESS),
            f"matcher is {order.matcher}, so this market may not open its leases",
            f"set it to {rules.matcher}, or to zero for anybody",
        ),
        (
            order.fee >= rules.fee_base,
            f"the fee of {order.fee} base units is below this market's",
            f"set fee to {rules.fee_base} or more",
        ),
        (
            rules.notice_seconds <= order.notice <= MAX_NOTICE_SECONDS,
            f"a notice of {order.notice} s is not from {rules.notice_seconds} s to 30 days",
            f"set notice to {rules.notice_seconds}",
        ),
        (is_sound(order, rules.min_notice), "its counts, windows or addresses do not hold together", _AGAIN),
        (
            order.max_rate > 0 and order.budget > 0,
            "with a maxRate or a budget of 0 nobody is paid",
            "set both above 0",
        ),
        (order.min_charge <= order.bond, "minCharge is more than bond", "lower minCharge, or raise bond"),
        (order.epoch == rules.epoch, f"the buyer's epoch is {rules.epoch}, the order's {order.epoch}", _AGAIN),
        (
            rules.now_time < order.expiry <= rules.now_time + MAX_ORDER_SECONDS,
            f"expiry {order.expiry} is over, or more than 30 days away",
            _AGAIN,
        ),
    )
    for holds, fact, remedy in checks:
        if not holds:
            raise OrderRefused(fact, remedy=remedy)


def _of_the_job(order: Order, manifest: Manifest) -> tuple[tuple[bool, str, str], ...]:
    """What agents hold a lease to as well: an order that leaves it out would be let, and then refused by each of them.

    Raises `TermOutOfRange`.
    """
    least = needed(Needs(), manifest)
    units = units_up(manifest.limits.work)
    return (
        (
            order.job == manifest.job_hash(),
            f"the order is for job {to_hex(order.job)}, the manifest is job {to_hex(manifest.job_hash())}",
            "send the manifest that the order was prepared for, or prepare another",
        ),
        (order.meter == METER_WORK, "it is not metered by work", f"set meter to {METER_WORK}"),
        (
            order.quantity >= units,
            f"the job may use {units} units of work, the order pays for {order.quantity}",
            f"set quantity to {units}, or lower limits.work",
        ),
        (
            order.all_of & least["all_of"] == least["all_of"],
            f"allOf does not ask for the runtime {manifest.runtime}",
            _AGAIN,
        ),
        (
            lanes_cover(order.quantities, least["quantities"]),
            "quantities ask for less memory than the job may use",
            _AGAIN,
        ),
    )
