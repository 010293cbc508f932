"""A buyer's policy words as terms of an order. Pure; what cannot be said in an order's terms is refused here."""

from typing import Any, Final

from backend.errors import BadRequest
from protocol.fit import ZONE_BIT
from protocol.hashing import ZERO_ADDRESS
from protocol.manifest import Manifest
from protocol.resources import CARBON_CEILING, ENERGY_SOURCES, Quantities, pack_traits
from protocol.wire.jobs import Attested, JobRequest, Needs
from protocol.zones import all_but, zone_mask

ORDER_GRACE_SECONDS: Final = 3600
"""An order outlives its leases by this much, so that a late failover still opens."""


def needed(needs: Needs, manifest: Manifest) -> dict[str, Any]:
    """The terms of an order that say what its machine must have. Raises `BadRequest`, `TermOutOfRange`."""
    all_of, any_of = _traits(needs)
    return {
        "quantities": _quantities(needs, manifest),
        "all_of": pack_traits([manifest.runtime, *all_of]),
        "any_of": pack_traits(any_of),
        "none_of": pack_traits(needs.none_of),
        "zones": _zones(needs.zones_in, needs.zones_out),
        "distinct_zones": needs.distinct_zones,
        **_attested(needs.attested),
    }


def order_expiry(request: JobRequest, leases: int, now_time: int) -> int:
    """Unix seconds after which no lease of the order opens; with a deadline the last one that opens ends before it.

    `leases`: those of one lane, which follow each other.
    """
    usual = now_time + request.duration_seconds * leases + ORDER_GRACE_SECONDS
    if request.deadline_time is None:
        return usual
    # A lease opens while time < expiry, so the last one runs until a second before the deadline.
    latest = request.deadline_time - request.duration_seconds
    if latest <= now_time:
        raise BadRequest(
            f"a lease of {request.duration_seconds} s cannot end before the deadline {request.deadline_time}",
            remedy=f"set deadline_time after {now_time + request.duration_seconds}, or lower duration_seconds",
        )
    return min(usual, latest)


def _quantities(needs: Needs, manifest: Manifest) -> int:
    asked = dict(needs.quantities)
    unknown = sorted(set(asked) - set(Quantities.__slots__))
    if unknown:
        raise BadRequest(f"unknown quantity {unknown[0]!r}", remedy=f"use {', '.join(Quantities.__slots__)}")
    # The job's own memory limit is a need, whether the buyer says so or not.
    asked["memory_quarter_gib"] = max(asked.get("memory_quarter_gib", 0), -(-manifest.limits.memory_bytes // 2**28))
    if needs.max_gco2e_per_kwh is not None:
        headroom = CARBON_CEILING - needs.max_gco2e_per_kwh
        asked["carbon_headroom"] = max(asked.get("carbon_headroom", 0), headroom)
    return Quantities(**asked).pack()


def _traits(needs: Needs) -> tuple[list[str], list[str]]:
    """(all of these, one of these), the energy sources among them."""
    unknown = [name for name in needs.energy_sources if name not in ENERGY_SOURCES]
    if unknown:
        raise BadRequest(f"unknown energy source {unknown[0][:40]!r}", remedy=f"use {', '.join(ENERGY_SOURCES)}")
    if len(needs.energy_sources) == 1:
        return [*needs.all_of, *needs.energy_sources], needs.any_of
    if needs.energy_sources and needs.any_of:
        raise BadRequest(
            "an order has one list of which one trait must be there, so several energy_sources leave none for any_of",
            remedy="name one energy source, or no any_of",
        )
    return needs.all_of, [*needs.any_of, *needs.energy_sources]


def _zones(zones_in: list[str], zones_out: list[str]) -> int:
    if zones_in and zones_out:
        mask = zone_mask(zones_in) & ~zone_mask(zones_out)
        if mask == 0:
            raise BadRequest("zones_out takes away every zone of zones_in", remedy="name fewer zones in zones_out")
        return mask
    return all_but(zones_out) if zones_out else zone_mask(zones_in)


def _attested(attested: Attested | None) -> dict[str, Any]:
    if attested is None:
        return {"auditor": ZERO_ADDRESS, "attested": 0}
    asked = pack_traits(attested.traits) | (ZONE_BIT if attested.zone else 0)
    if asked == 0:
        raise BadRequest("attested names neither a trait nor the zone", remedy='add traits, or "zone": true')
    return {"auditor": attested.by, "attested": asked}
