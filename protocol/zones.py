"""Electric grid zones: the unit of failure. Ids follow Electricity Maps' scheme; the table is our own.

A number, once published, never changes its meaning: signed messages hold it. 0 is undeclared.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from protocol.errors import TermOutOfRange


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """One grid zone."""

    #: 1..255, in signed messages and on chain
    number: int
    #: such as `DE` or `US-CAL-CISO`
    id: str
    name: str
    #: ISO 3166-1 alpha-2
    country: str
    #: IANA name, to pre-fill a provider's choice
    timezone: str
    #: degrees, for maps only
    latitude: float
    longitude: float


@cache
def zones() -> tuple[Zone, ...]:
    """All zones, by number."""
    text = files("protocol").joinpath("zones.csv").read_text(encoding="utf-8")
    return tuple(
        Zone(
            number=int(row["number"]),
            id=row["id"],
            name=row["name"],
            country=row["country"],
            timezone=row["timezone"],
            latitude=float(row["latitude"]),
            longitude=float(row["longitude"]),
        )
        for row in csv.DictReader(text.splitlines())
    )


@cache
def _by_id() -> dict[str, Zone]:
    return {zone.id: zone for zone in zones()}


def zone_by_id(zone_id: str) -> Zone:
    """Raises `TermOutOfRange` on an unknown id."""
    zone = _by_id().get(zone_id)
    if zone is None:
        raise TermOutOfRange("zone", "a grid zone id such as DE, FR or US-CAL-CISO", zone_id)
    return zone


def zone_by_number(number: int) -> Zone | None:
    """None for 0 (undeclared) and for numbers without a zone."""
    table = zones()
    return table[number - 1] if 1 <= number <= len(table) else None


def zone_mask(zone_ids: Iterable[str]) -> int:
    """The 256-bit set of an order's `zones`: bit n for zone n; no ids give 0, which is any zone."""
    mask = 0
    for zone_id in zone_ids:
        mask |= 1 << zone_by_id(zone_id).number
    return mask


def all_but(zone_ids: Iterable[str]) -> int:
    """The set of all known zones without these; what is undeclared is not in it."""
    return zone_mask(zone.id for zone in zones()) & ~zone_mask(zone_ids)
