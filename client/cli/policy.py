"""A buyer's policy as options: what the machine must be, where, by when, how often again; the same in all commands."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from client.cli.console import refuse_usage
from client.jobs import Terms
from protocol.clock import now_time
from protocol.hashing import checksum_address
from protocol.resources import ENERGY_SOURCES
from protocol.units import parse_dollars
from protocol.wire.jobs import Attested, Needs
from protocol.zones import zone_by_id

_PANEL: Final = "Policy"
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What was asked, as it was typed; each field is an option of every command that buys."""

    max_price: Annotated[
        str | None, typer.Option("--max-price", metavar="DOLLARS", help="Whole job at most; given, nothing is asked.")
    ] = None
    zones: Annotated[
        list[str] | None,
        typer.Option("--zone", help="Only in this grid zone, such as DE; repeat.", rich_help_panel=_PANEL),
    ] = None
    not_zones: Annotated[
        list[str] | None, typer.Option("--not-zone", help="Not in this grid zone; repeat.", rich_help_panel=_PANEL)
    ] = None
    distinct_zones: Annotated[
        bool,
        typer.Option(
            "--distinct-zones", help="No two replicas, and no successor, in one zone.", rich_help_panel=_PANEL
        ),
    ] = False
    max_carbon: Annotated[
        int | None,
        typer.Option("--max-carbon", min=0, max=1999, metavar="G", help="gCO2e/kWh at most.", rich_help_panel=_PANEL),
    ] = None
    energy: Annotated[
        list[str] | None,
        typer.Option("--energy", help="One of these sources, such as solar; repeat.", rich_help_panel=_PANEL),
    ] = None
    replicas: Annotated[
        int,
        typer.Option("--replicas", min=1, max=16, help="Providers side by side; each is paid.", rich_help_panel=_PANEL),
    ] = 1
    quorum: Annotated[
        int | None,
        typer.Option(
            "--quorum", min=1, max=16, help="Replicas that must agree. Default: most.", rich_help_panel=_PANEL
        ),
    ] = None
    attested_by: Annotated[
        str | None,
        typer.Option(
            "--attested-by", metavar="0x…", help="Auditor whose word counts for the next two.", rich_help_panel=_PANEL
        ),
    ] = None
    attested: Annotated[
        list[str] | None,
        typer.Option("--attested", metavar="TRAIT", help="Trait that it must attest; repeat.", rich_help_panel=_PANEL),
    ] = None
    attested_zone: Annotated[
        bool, typer.Option("--attested-zone", help="It must attest the zone too.", rich_help_panel=_PANEL)
    ] = False
    deadline: Annotated[
        str | None,
        typer.Option(
            "--deadline",
            metavar="WHEN",
            help="All leases have ended by then: 90m, 2h, or 2026-12-01T08:00Z.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    retries: Annotated[
        int | None,
        typer.Option(
            "--retries", min=0, max=15, help="Leases after the first, when providers fail.", rich_help_panel=_PANEL
        ),
    ] = None
    max_leases: Annotated[
        int | None,
        typer.Option(
            "--max-leases", min=1, max=16, help="Leases in all. Default: 4 for each replica.", rich_help_panel=_PANEL
        ),
    ] = None

    def terms(self) -> Terms:
        """As the market takes them. Raises `TermOutOfRange`, `BadHex`; exit code 2 for what contradicts itself."""
        if self.retries is not None and self.max_leases is not None:
            refuse_usage("give --retries or --max-leases, not both")
        terms = Terms(needs=self._needs(), max_price=_price(self.max_price), replicas=self.replicas)
        if self.quorum is not None:
            terms["quorum"] = self.quorum
        if self.retries is not None:
            terms["retries"] = self.retries
        if self.max_leases is not None:
            terms["max_leases"] = self.max_leases
        if self.deadline is not None:
            terms["deadline_time"] = moment_of(self.deadline, now_time())
        return terms

    def _needs(self) -> Needs:
        for zone in (*(self.zones or ()), *(self.not_zones or ())):
            zone_by_id(zone)
        unknown = [name for name in self.energy or () if name not in ENERGY_SOURCES]
        if unknown:
            refuse_usage(f"unknown energy source {unknown[0]!r}; use {', '.join(ENERGY_SOURCES)}")
        return Needs(
            zones_in=self.zones or [],
            zones_out=self.not_zones or [],
            distinct_zones=self.distinct_zones,
            max_gco2e_per_kwh=self.max_carbon,
            energy_sources=self.energy or [],
            attested=self._attested(),
        )

    def _attested(self) -> Attested | None:
        wanted = bool(self.attested) or self.attested_zone
        if self.attested_by is None:
            if wanted:
                refuse_usage("attested by whom? add --attested-by 0x…")
            return None
        if not wanted:
            refuse_usage("--attested-by needs --attested TRAIT or --attested-zone")
        return Attested(by=checksum_address(self.attested_by), traits=self.attested or [], zone=self.attested_zone)


def moment_of(text: str, now: int) -> int:
    """Unix seconds of `2h`, counted from `now`, or of an ISO date and time; exit code 2 for anything else."""
    span = re.fullmatch(r"(\d{1,6})([smhd])", text.strip())
    if span:
        return now + int(span[1]) * _SECONDS[span[2]]
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        refuse_usage(f"--deadline expects 90m, 2h or 2026-12-01T08:00Z, found {text!r}")
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())


def _price(dollars: str | None) -> str | None:
    if dollars is None:
        return None
    # Dollars as people type them; the market gets plain digits.
    parse_dollars(dollars)
    return dollars.strip().removeprefix("$").replace(",", "")
