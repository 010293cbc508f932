"""The agent's standing offer: made from settings and machine, signed, and renewed before it ends."""

import secrets
from dataclasses import replace
from pathlib import Path
from typing import Final

import orjson
import structlog

from protocol.hashing import to_hex
from protocol.keys import Signer
from protocol.messages import Domain, digest, from_json, sign, to_json
from protocol.resources import Quantities, pack_traits
from protocol.terms import Offer
from protocol.units import METER_WORK
from protocol.zones import zone_by_id
from provider.errors import MarketRefused
from provider.market import Market
from provider.settings import AgentSettings

_log = structlog.get_logger()

TRAITS: Final = ("wasi-det/1",)
"""A trait that is claimed must hold for every job; site kinds and energy sources come with attestations."""

_QUARTER_GIB: Final = 2**28


def make_offer(settings: AgentSettings, provider: Signer, *, lanes: Quantities, epoch: int, now_time: int) -> Offer:
    """A new offer from `now_time` (unix seconds, of the chain) on; raises `TermOutOfRange`."""
    return Offer(
        provider=provider.address,
        quantities=lanes.pack(),
        traits=pack_traits(TRAITS),
        zone=zone_by_id(settings.zone).number,
        meter=METER_WORK,
        rate=settings.rate,
        capacity=settings.capacity,
        min_duration=settings.min_duration,
        max_duration=settings.max_duration,
        notice=settings.notice,
        expiry=now_time + settings.offer_hours * 3600,
        epoch=epoch,
        salt=secrets.randbits(256),
    )


class StandingOffer:
    """The one offer of this agent, remembered in its folder so that a restart does not post another."""

    def __init__(self, settings: AgentSettings, key: Signer, domain: Domain, market: Market, lanes: Quantities) -> None:
        self._settings = settings
        self._key = key
        self._domain = domain
        self._market = market
        self._lanes = lanes
        self._path: Path = settings.data_dir / "offer.json"
        self.current: Offer | None = self._load()

    def ensure(self, *, epoch: int, now_time: int) -> Offer:
        """The offer in the market's book, renewed if it is old, changed or void; raises as the market does."""
        if self.current is not None and self._holds(self.current, epoch, now_time):
            return self.current
        old = self.current
        offer = make_offer(self._settings, self._key, lanes=self._lanes, epoch=epoch, now_time=now_time)
        self._post(offer)
        self._path.write_bytes(orjson.dumps(to_json(offer)))
        self.current = offer
        if old is not None:
            self._withdraw(old)
        return offer

    def post_again(self) -> None:
        """Tells the market about an offer that it may have lost; the same offer twice is one."""
        if self.current is not None:
            self._post(self.current)

    def withdraw(self) -> None:
        """Takes the offer out of the book. Leases that are open go on."""
        if self.current is not None:
            self._withdraw(self.current)
        self.current = None
        self._path.unlink(missing_ok=True)

    def _post(self, offer: Offer) -> None:
        self._market.post_offer(offer, sign(self._domain, offer, self._key))
        _log.info("offer.posted", offer=to_hex(digest(self._domain, offer)), rate=offer.rate, zone=offer.zone)

    def _withdraw(self, offer: Offer) -> None:
        try:
            self._market.withdraw_offer(digest(self._domain, offer))
        except MarketRefused as error:
            # Gone already: it expired, or the market began anew.
            _log.info("offer.not_withdrawn", reason=str(error))

    def _holds(self, offer: Offer, epoch: int, now_time: int) -> bool:
        wanted = make_offer(self._settings, self._key, lanes=self._lanes, epoch=epoch, now_time=now_time)
        # The machine's lanes change from day to day; only what its owner decided voids an offer that was made.
        as_wanted = replace(wanted, quantities=offer.quantities, expiry=offer.expiry, salt=offer.salt)
        return offer == as_wanted and offer.expiry - now_time > self._settings.offer_hours * 1800

    def _load(self) -> Offer | None:
        try:
            return from_json(Offer, orjson.loads(self._path.read_bytes()))
        except FileNotFoundError:
            return None


def lanes_for(memory_bytes: int, machine: Quantities) -> Quantities:
    """The machine's lanes with no more memory than jobs get."""
    return Quantities(
        cpu_eighths=machine.cpu_eighths,
        memory_quarter_gib=min(machine.memory_quarter_gib, memory_bytes // _QUARTER_GIB),
        disk_gib=machine.disk_gib,
    )


def median_rate(rates: list[int], otherwise: int) -> int:
    """The middle rate of the book (pico-dollars per 10⁶ work), the lower of two; `otherwise` for an empty book."""
    return sorted(rates)[(len(rates) - 1) // 2] if rates else otherwise
