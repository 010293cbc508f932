"""How the explorer spells what the mirror holds: short hashes, times, durations, zones, states.

Pure. Exact values stay in attributes and JSON; only what people read is shortened.
"""

import unicodedata
from datetime import UTC, datetime
from typing import Final

from protocol.events import EndReason, LeaseState, Skip
from protocol.hashing import to_hex
from protocol.zones import zone_by_number

REASONS: Final[dict[EndReason, str]] = {
    EndReason.NONE: "still running",
    EndReason.COMPLETED: "completed",
    EndReason.CANCELLED: "cancelled by the buyer",
    EndReason.UNRESPONSIVE: "the provider did not respond",
    EndReason.FAULTY: "the provider was at fault",
    EndReason.RESIGNED: "the provider resigned",
    EndReason.EXPIRED: "its time was over",
    EndReason.CLAIMED: "the provider claimed its pay",
}

STATES: Final[dict[LeaseState, str]] = {
    LeaseState.NONE: "unknown",
    LeaseState.OPEN: "open",
    LeaseState.CLOSING: "closing",
    LeaseState.CLAIMED: "claimed",
    LeaseState.DISPUTED: "disputed",
    LeaseState.CLOSED: "closed",
}

UNTIL: Final[dict[LeaseState, str]] = {
    LeaseState.OPEN: "It may run until",
    LeaseState.CLOSING: "Its notice ends",
    LeaseState.CLAIMED: "Its claim can be challenged until",
    LeaseState.DISPUTED: "Its arbiter decides before",
}
"""What the deadline of a state means."""

OVER: Final[dict[LeaseState, str]] = {
    LeaseState.CLOSING: "Its notice is over",
    LeaseState.CLAIMED: "Nobody challenged its claim in time",
    LeaseState.DISPUTED: "Its arbiter was silent",
}
"""Why anyone may finalise a lease now."""

SKIPS: Final[dict[Skip, str]] = {
    Skip.NONE: "no reason given",
    Skip.UNKNOWN_OFFER: "it names an offer that was not sent along",
    Skip.OFFER_SIGNATURE: "the offer is not signed by its provider",
    Skip.OFFER_EXPIRED: "the offer has expired",
    Skip.OFFER_CANCELLED: "the provider cancelled the offer",
    Skip.OFFER_EPOCH: "the provider voided the offer with all it had signed",
    Skip.ORDER_SIGNATURE: "the order is signed neither by its buyer nor by a live delegate",
    Skip.ORDER_EXPIRED: "the order has expired",
    Skip.ORDER_CANCELLED: "the buyer cancelled the order",
    Skip.ORDER_EPOCH: "the buyer voided the order with all it had signed",
    Skip.LIMITS: "the order contradicts itself",
    Skip.METER: "offer and order are metered differently",
    Skip.ARBITER: "offer and order name different arbiters",
    Skip.RATE: "the offer's rate is above the order's limit",
    Skip.DURATION: "the offer does not serve that duration",
    Skip.BOND: "the order asks for a larger bond than the offer gives",
    Skip.NOTICE: "the notice is shorter than the offer asks",
    Skip.MIN_CHARGE: "the minimum charge fits neither the offer, the bond nor the lock",
    Skip.QUANTITIES: "the machine is smaller than the order needs",
    Skip.TRAITS: "the machine lacks a trait that the order needs",
    Skip.ZONE: "the machine is in a grid zone that the order does not accept",
    Skip.ZONE_TAKEN: "another lease of the order is in that grid zone already",
    Skip.ATTESTATION: "the order's auditor does not attest what it asks",
    Skip.MATCHER: "only the order's matcher may open it yet",
    Skip.CAPACITY: "the provider is serving all it can",
    Skip.FILL_OUT_OF_RANGE: "the order allows fewer leases",
    Skip.ALREADY_OPEN: "that lease is already open",
    Skip.NO_PREDECESSOR: "the lease before it was never opened",
    Skip.PREDECESSOR_OPEN: "the lease before it still runs",
    Skip.LANE_DONE: "the work is already done",
    Skip.DELEGATE_CAP: "the key's spending cap is used up",
    Skip.NOTHING_TO_LOCK: "nothing is left of the budget",
    Skip.BUYER_FUNDS: "the buyer's free balance is too small",
    Skip.BUYER_GUARDED: "the buyer's account has a beneficiary, so it cannot buy",
    Skip.PROVIDER_FUNDS: "the provider's free balance does not cover the bond",
    Skip.UNKNOWN_LEASE: "there is no such lease",
    Skip.LEASE_CLOSED: "the lease is closed",
    Skip.VOUCHER_SIGNATURE: "the voucher is not signed by the lease's voucher signer",
    Skip.VOUCHER_STALE: "the voucher adds nothing to what was paid",
    Skip.NOT_LAST: "the voucher is not the last one",
    Skip.WRONG_ORDER: "the order does not belong to the lease",
}

CHAINS: Final[dict[int, str]] = {1: "Ethereum", 8453: "Base", 10: "OP Mainnet", 42161: "Arbitrum One"}
"""Chains whose money is real; every other one is marked as a test chain."""

_STEPS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def short(value: str | bytes) -> str:
    """`0x1234…abcd`; text of at most 13 characters stays whole."""
    text = to_hex(value) if isinstance(value, bytes) else value
    return text if len(text) <= 13 else f"{text[:6]}…{text[-4:]}"


def duration(seconds: int) -> str:
    """The two largest units, such as `3 min 20 s`; the rest is dropped."""
    first = next((index for index, (size, _) in enumerate(_STEPS) if seconds >= size), len(_STEPS) - 1)
    parts: list[str] = []
    rest = seconds
    for size, unit in _STEPS[first : first + 2]:
        amount, rest = divmod(rest, size)
        if amount or not parts:
            parts.append(f"{amount} {unit}")
    return " ".join(parts)


def relative(time: int, now: int) -> str:
    """`12 s ago`, `in 5 min` or `now`, one unit only."""
    distance = abs(now - time)
    size, unit = next(((size, unit) for size, unit in _STEPS if distance >= size), (1, "s"))
    if distance == 0:
        return "now"
    amount = f"{distance // size} {unit}"
    return f"{amount} ago" if time < now else f"in {amount}"


def iso(time: int) -> str:
    """RFC 3339 in UTC, for `<time datetime>`."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(time: int) -> str:
    """`2026-01-31 13:05:09 UTC`."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def zone_name(number: int) -> str:
    """`Germany (DE)`; undeclared and unpublished numbers say so."""
    if number == 0:
        return "not declared"
    zone = zone_by_number(number)
    return f"{zone.name} ({zone.id})" if zone else f"zone {number}"


def zone_id(number: int) -> str | None:
    """`DE`, or None where the table has no such number."""
    zone = zone_by_number(number)
    return zone.id if zone else None


def chain_name(chain_id: int) -> str:
    """A known chain's name; else `chain N`."""
    return CHAINS.get(chain_id, f"chain {chain_id}")


def is_test_chain(chain_id: int) -> bool:
    """Whether the page must say that the money is not real; a chain we do not know counts as one."""
    return chain_id not in CHAINS


def visible(text: str, limit: int = 80) -> str:
    """Foreign text as it may be shown: at most `limit` characters, control and bidi characters as escapes.

    A right-to-left mark in a search text could otherwise make one hash look like another.
    """
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(c if unicodedata.category(c)[0] != "C" else c.encode("unicode_escape").decode() for c in cut)
