"""The matching rule written a second time from SPEC "Matching rule", as slowly and plainly as possible: no index.

Only the limits are shared, so that a test can make them small.
"""

from collections import Counter
from dataclasses import dataclass, field

from backend.matching import policy, reach
from backend.matching.book import BookOffer, BookOrder
from protocol.events import Skip
from protocol.fit import mismatch
from protocol.resources import has_guard_bits


@dataclass
class Seat:
    price: int
    holder: "Fill"


@dataclass
class Fill:
    order: BookOrder
    fill: int
    saves: int
    first: list[BookOffer]
    last: list[BookOffer]
    bids: int = 0
    offer: BookOffer | None = None
    seat: int = 0
    siblings: list["Fill"] = field(default_factory=list)

    @property
    def rank(self) -> tuple[int, int, bytes, int]:
        return -self.saves, self.order.arrived, self.order.digest, self.fill


def naive_match(offers: list[BookOffer], orders: list[BookOrder], min_notice: int) -> list[tuple[bytes, int, bytes]]:
    """(order digest, fill, offer digest) of each pairing."""
    result: list[tuple[bytes, int, bytes]] = []
    taken: Counter[str] = Counter()
    for _ in range(policy.MOST_SITTINGS):
        fills = [fill for order in orders for fill in _fills(order, offers, min_notice)]
        failed, ran_out = _sit(fills, taken)
        seated = [fill for fill in fills if fill.offer and fill.order.digest not in failed]
        seated.sort(key=lambda fill: (fill.seat, fill.order.arrived, fill.order.digest, fill.fill))
        result += [(fill.order.digest, fill.fill, fill.offer.digest) for fill in seated if fill.offer]
        split = {fill.order.digest for fill in fills if fill.offer and fill.order.digest in failed}
        if not split and not ran_out:
            break
        for fill in seated:
            assert fill.offer
            taken[fill.offer.offer.provider] += 1
        gone = split | {fill.order.digest for fill in seated}
        orders = [order for order in orders if order.digest not in gone]
    return result


def _units(order: BookOrder) -> int:
    return min(order.order.quantity, min(order.order.budget * 10**6, 2**60) // order.order.max_rate)


def _saving(offer: BookOffer, order: BookOrder) -> int:
    return (order.order.max_rate - offer.offer.rate) * _units(order)


def _fills(order: BookOrder, offers: list[BookOffer], min_notice: int) -> list[Fill]:
    fitting = [
        offer
        for offer in offers
        if mismatch(offer.offer, order.order, min_notice) is Skip.NONE
        and not has_guard_bits(offer.offer.quantities)
        and offer.open_leases < offer.offer.capacity
        and offer.offer.provider not in order.serving
        and not (order.order.distinct_zones and offer.offer.zone in order.held_zones)
    ]
    fitting.sort(key=lambda offer: (offer.offer.rate, offer.open_leases, offer.digest))
    first = [offer for offer in fitting if offer.offer.provider not in order.tried]
    last = [offer for offer in fitting if offer.offer.provider in order.tried]
    if not fitting:
        return []
    saves = _saving((first or last)[0], order)
    fills = [Fill(order, number, saves, first, last[: reach.MOST_WEIGHED]) for number in order.fills]
    for fill in fills:
        fill.siblings = [other for other in fills if other is not fill]
    return fills


def _sit(fills: list[Fill], taken: Counter[str]) -> tuple[set[bytes], bool]:
    seats: dict[str, list[Seat]] = {}
    failed: set[bytes] = set()
    ran_out = False
    waiting = list(fills)
    while waiting:
        fill = min(waiting, key=lambda one: one.rank)
        waiting.remove(fill)
        if fill.order.digest in failed:
            continue
        bid = _bid(fill, seats, taken)
        if bid is None or fill.bids == policy.MOST_BIDS:
            failed.add(fill.order.digest)
            ran_out = ran_out or bid is not None
            continue
        fill.bids += 1
        offer, rise = bid
        room = _room(offer, taken)
        mine = seats.setdefault(offer.offer.provider, [])
        fill.offer = offer
        if len(mine) < room:
            fill.seat = len(mine)
            mine.append(Seat(rise, fill))
            continue
        fill.seat = min(range(room), key=lambda number: (mine[number].price, number))
        seat = mine[fill.seat]
        seat.holder.offer = None
        if seat.holder.order.digest not in failed:
            waiting.append(seat.holder)
        seat.holder = fill
        seat.price += rise
    return failed, ran_out


def _room(offer: BookOffer, taken: Counter[str]) -> int:
    return min(offer.offer.capacity - offer.open_leases, 1024) - taken[offer.offer.provider]


def _bid(fill: Fill, seats: dict[str, list[Seat]], taken: Counter[str]) -> tuple[BookOffer, int] | None:
    for listed in (fill.first, fill.last):
        worth = []
        for number, offer in enumerate(listed):
            room = _room(offer, taken)
            mine = seats.get(offer.offer.provider, [])
            is_free = len(mine) < room
            if room <= 0 or (number >= reach.MOST_WEIGHED and not is_free):
                continue
            if any(_collide(offer, other.offer, fill.order) for other in fill.siblings if other.offer):
                continue
            asked = 0 if is_free else min(seat.price for seat in mine[:room])
            net = _saving(offer, fill.order) - asked
            if is_free or net > 0:
                worth.append((net, offer))
        if worth:
            best, chosen = max(worth, key=lambda pair: pair[0])
            elsewhere = [net for net, offer in worth if offer.offer.provider != chosen.offer.provider]
            step = max(1, fill.saves // policy.STEPS)
            return chosen, max(1, min(best - max(elsewhere, default=0) + step, best))
    return None


def _collide(offer: BookOffer, other: BookOffer, order: BookOrder) -> bool:
    same_zone = order.order.distinct_zones and offer.offer.zone == other.offer.zone
    return offer.offer.provider == other.offer.provider or same_zone
