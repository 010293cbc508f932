"""The nearest change of a request that would let an offer meet its order.

The predicate is the matching rule's own and the order is built by what builds all orders: each step changes the words
behind the term that fails first, builds the order anew and asks again, so what comes out is admitted by construction.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from backend.errors import BadRequest
from backend.matching.book import BookOffer
from protocol.errors import ProtocolError
from protocol.events import Skip
from protocol.fit import mismatch, wants_zone
from protocol.resources import CARBON_CEILING, ENERGY_SOURCES, LANE_BITS, LANES, RUNTIME_TRAITS, names_of
from protocol.terms import Offer, Order
from protocol.units import format_dollars
from protocol.wire.jobs import JobRequest, Relaxation
from protocol.zones import zone_by_number

Build = Callable[[JobRequest], Order]
_MOST_STEPS: Final = 12
_PRICE_CEILING: Final = 2**48
"""Base units: an order's budget is less."""


class Word(NamedTuple):
    """A word of the request and what it would have to say."""

    path: str
    to: Any
    text: str


def relaxations(request: JobRequest, entry: BookOffer, build: Build, min_notice: int) -> list[Relaxation] | None:
    """All that must change for the offer to fit, one word each; None if no change of the request helps."""
    changed: dict[str, Word] = {}
    try:
        for _ in range(_MOST_STEPS):
            order = build(request)
            skip = mismatch(entry.offer, order, min_notice)
            if skip is Skip.NONE:
                return [Relaxation(word=word.path, to=word.to, text=word.text) for word in changed.values()]
            words = _words(request, entry.offer, order, skip, build)
            if not words:
                return None
            request = _with(request, words)
            changed |= {word.path: word for word in words}
    except (BadRequest, ProtocolError, ValueError):
        # The word would have to say what a request cannot say.
        return None
    return None


def why(skip: Skip, entry: BookOffer, order: Order) -> str:
    """The reason in words, of the nearest offer of its class."""
    offer = entry.offer
    match skip:
        case Skip.RATE:
            return f"the cheapest of them asks {offer.rate} pico-dollars, the order takes at most {order.max_rate}"
        case Skip.DURATION:
            return f"served from {offer.min_duration} to {offer.max_duration} s, the order is for {order.duration} s"
        case Skip.NOTICE:
            return f"a notice of {offer.notice} s is wanted, this market signs {order.notice} s"
        case Skip.QUANTITIES:
            return f"too small in {', '.join(name for name, _, _ in _short(offer, order))}"
        case Skip.TRAITS:
            return f"the traits are {', '.join(names_of(offer.traits)) or 'none'}"
        case Skip.ZONE:
            zone = zone_by_number(offer.zone)
            return f"the zone is {zone.id}" if zone else "no zone is declared"
        case Skip.CAPACITY:
            return "all leases are taken; the order would wait"
        case Skip.METER | Skip.ARBITER:
            return "metered otherwise" if skip is Skip.METER else "another arbiter"
        case Skip.BOND | Skip.MIN_CHARGE:
            return f"bond {offer.bond}, minimum charge {offer.min_charge} base units; the order says otherwise"
    return "the order's own limits do not fit each other"


def _words(request: JobRequest, offer: Offer, order: Order, skip: Skip, build: Build) -> list[Word]:
    match skip:
        case Skip.RATE:
            return _rate(request, offer, build)
        case Skip.DURATION:
            nearest = min(max(order.duration, offer.min_duration), offer.max_duration)
            return [Word("duration_seconds", nearest, f"set duration_seconds to {nearest}")]
        case Skip.QUANTITIES:
            return [word for lane, has, _ in _short(offer, order) for word in _lane(request, lane, has)]
        case Skip.TRAITS:
            return _traits(request, offer, order)
        case Skip.ZONE:
            return _zone(request, offer, order)
    return []


def _rate(request: JobRequest, offer: Offer, build: Build) -> list[Word]:
    dear = _with(request, [Word("max_rate", offer.rate, "")])
    words = []
    if request.max_rate != offer.rate:
        words.append(Word("max_rate", offer.rate, f"raise max_rate to {offer.rate}"))
    if request.max_price is not None and build(dear).max_rate < offer.rate:
        base = _least_price(dear, offer.rate, build)
        price = format_dollars(base).removeprefix("$").replace(",", "")
        words.append(Word("max_price", price, f"raise max_price to {format_dollars(base)}"))
        if request.max_rate is None and build(_with(request, [words[-1]])).max_rate >= offer.rate:
            # Only the price stood in the way.
            return words[-1:]
    return words


def _least_price(request: JobRequest, rate: int, build: Build) -> int:
    """Base units of the least price for the whole job under which the order takes the rate: it rises with the price."""
    low, high = 0, _PRICE_CEILING
    while low < high:
        middle = (low + high) // 2
        if _takes(request, middle, rate, build):
            high = middle
        else:
            low = middle + 1
    return low


def _takes(request: JobRequest, price_base: int, rate: int, build: Build) -> bool:
    text = f"{price_base // 10**6}.{price_base % 10**6:06d}"
    try:
        return build(request.model_copy(update={"max_price": text})).max_rate >= rate
    except BadRequest:
        # It does not even pay the fees.
        return False


def _short(offer: Offer, order: Order) -> list[tuple[str, int, int]]:
    """(lane, offered, needed) where the offer is too small."""
    found = []
    for number, (name, _) in enumerate(LANES):
        has, need = (packed >> LANE_BITS * number & 0xFFFF for packed in (offer.quantities, order.quantities))
        if has < need:
            found.append((name, has, need))
    return found


def _lane(request: JobRequest, lane: str, has: int) -> list[Word]:
    words = []
    if request.needs.quantities.get(lane, 0) > has:
        words.append(Word(f"needs.quantities.{lane}", has, f"lower {lane} to {has}"))
    if lane == "memory_quarter_gib":
        limit = request.manifest["limits"]["memory_bytes"]
        if limit > has << 28:
            words.append(Word("manifest.limits.memory_bytes", has << 28, f"lower limits.memory_bytes to {has << 28}"))
    most = request.needs.max_gco2e_per_kwh
    if lane == "carbon_headroom" and most is not None and most < CARBON_CEILING - has:
        grams = CARBON_CEILING - has if has else None
        text = f"raise max_gco2e_per_kwh to {grams}" if has else "drop max_gco2e_per_kwh: the offer says nothing"
        words.append(Word("needs.max_gco2e_per_kwh", grams, text))
    return words


def _traits(request: JobRequest, offer: Offer, order: Order) -> list[Word]:
    needs, traits = request.needs, set(names_of(offer.traits))
    missing = set(names_of(order.all_of & ~offer.traits))
    if missing & set(RUNTIME_TRAITS):
        # What runs the job is not the buyer's to waive.
        return []
    words = []
    if missing & set(needs.all_of):
        words.append(_list("needs.all_of", [name for name in needs.all_of if name not in missing]))
    if needs.energy_sources and not traits & set(needs.energy_sources):
        also = [name for name in ENERGY_SOURCES if name in traits][:1]
        # Several sources take the one list of which one trait must be there.
        sources = [*needs.energy_sources, *also] if also and not needs.any_of else []
        words.append(_list("needs.energy_sources", sources))
    if needs.any_of and not traits & set(needs.any_of):
        words.append(_list("needs.any_of", []))
    if traits & set(needs.none_of):
        words.append(_list("needs.none_of", [name for name in needs.none_of if name not in traits]))
    return words


def _zone(request: JobRequest, offer: Offer, order: Order) -> list[Word]:
    needs, zone = request.needs, zone_by_number(offer.zone)
    if zone is not None:
        words = []
        if needs.zones_in and zone.id not in needs.zones_in:
            words.append(Word("needs.zones_in", [*needs.zones_in, zone.id], f"allow zone {zone.id}"))
        if zone.id in needs.zones_out:
            left = [name for name in needs.zones_out if name != zone.id]
            words.append(Word("needs.zones_out", left, f"do not exclude zone {zone.id}"))
        return words
    words = [_list(f"needs.{name}", []) for name in ("zones_in", "zones_out") if getattr(needs, name)]
    if needs.distinct_zones:
        words.append(Word("needs.distinct_zones", False, "do not ask for distinct zones: the offer declares none"))
    if wants_zone(order) and needs.attested is not None and needs.attested.zone:
        words.append(Word("needs.attested.zone", False, "do not ask for an attested zone: the offer declares none"))
    return words


def _list(path: str, names: list[str]) -> Word:
    said = ", ".join(names)
    return Word(path, names, f"set {path} to {said}" if said else f"drop {path}")


def _with(request: JobRequest, words: list[Word]) -> JobRequest:
    """The request with other words; raises `ValueError` where a word cannot say that."""
    document: dict[str, Any] = request.model_dump(mode="json")
    for word in words:
        *path, last = word.path.split(".")
        place = document
        for name in path:
            place = place[name]
        place[last] = word.to
    return JobRequest.model_validate(document)
