"""Offers and orders at random: most fit each other, and each term is wrong now and then, mostly by one unit."""

from random import Random
from typing import Any, Final

from protocol.fit import ZONE_BIT
from protocol.hashing import ZERO_ADDRESS, Address, keccak256
from protocol.resources import Quantities
from protocol.terms import Offer, Order
from tests.differential.cast import ARBITERS, AUDITORS, BUYERS, MATCHERS, PROVIDERS, SIGNERS, Actor

DAY: Final = 24 * 3600
_OFFERED: Final = Quantities(cpu_eighths=64, memory_quarter_gib=64, disk_gib=100).pack()
_NEEDED: Final = Quantities(cpu_eighths=64, memory_quarter_gib=4).pack()
_GUARD: Final = 1 << 31
_TRAITS: Final = 1 | 1 << 16 | 1 << 32
_ORDER_FAULTS: Final[tuple[dict[str, Any], ...]] = (
    {"voucher_signer": ZERO_ADDRESS},
    {"replicas": 0},
    {"replicas": 3, "max_leases": 2},
    {"max_leases": 17},
    {"quorum": 4, "replicas": 3, "max_leases": 4},
    {"quorum": 1, "replicas": 2, "max_leases": 4},
    {"attested": 1, "auditor": ZERO_ADDRESS},
    {"challenge_window": 9},
    {"challenge_window": 30 * DAY + 1},
    {"meter": 2},
    {"max_rate": 0},
    {"max_rate": 999_999},
    {"duration": 4},
    {"duration": 501},
    {"bond": 21},
    {"notice": 9},
    {"notice": 30 * DAY + 1},
    {"min_charge": 20, "bond": 19},
    {"min_charge": 20, "bond": 20, "quantity": 1},
    {"quantities": Quantities(cpu_eighths=65).pack()},
    {"quantities": _NEEDED | _GUARD},
    {"all_of": 1 << 40},
    {"any_of": 1 << 50},
    {"none_of": 1},
    {"zones": 1 << 9},
    {"zones": 1},
    {"quantity": 0},
    {"budget": 0},
    {"budget": 1 << 47, "quantity": 1 << 47},
    {"fee": 1 << 47},
    {"buyer": ZERO_ADDRESS},
    {"attested": ZONE_BIT, "auditor": AUDITORS[0].address},
    {"attested": 1 << 230, "auditor": AUDITORS[0].address},
)
_OFFER_FAULTS: Final[tuple[dict[str, Any], ...]] = (
    {"rate": 0},
    {"meter": 2},
    {"zone": 0},
    {"zone": 255},
    {"capacity": 0},
    {"min_duration": 300},
    {"max_duration": 19},
    {"notice": 41},
    {"min_charge": 21},
    {"bond": 0},
    {"quantities": _OFFERED | _GUARD},
    {"traits": 0},
    {"traits": _TRAITS | 1 << 33},
    {"provider": ZERO_ADDRESS},
)


class Maker:
    """Makes messages for a moment in a world whose accounts have these epochs."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self._salts = 0

    def _salt(self) -> int:
        self._salts += 1
        return self._salts

    def expiry(self, now: int) -> int:
        near = self.random.random() < 0.08
        return now + (self.random.randrange(1, 300) if near else 60 * DAY)

    def order(self, now: int, epochs: dict[Address, int]) -> Order:
        random = self.random
        buyer = random.choice(BUYERS)
        replicas = random.choice((1, 1, 1, 1, 2, 2, 3))
        slow = random.random() < 0.7
        bond = random.randrange(21)
        attested = random.random() < 0.15
        terms: dict[str, Any] = {
            "buyer": buyer.address,
            "voucher_signer": buyer.address if random.random() < 0.1 else random.choice(SIGNERS).address,
            "job": keccak256(b"job"),
            "quantities": _NEEDED,
            "all_of": 1,
            "any_of": random.choice((0, 1 << 16 | 1 << 17)),
            "none_of": 1 << 33,
            "zones": random.choice((0, 0, 0b1110, 0b0110)),
            "distinct_zones": random.random() < 0.25,
            "auditor": random.choice(AUDITORS).address if attested else ZERO_ADDRESS,
            "attested": random.choice((1, 1 << 16, 1 | ZONE_BIT)) if attested else 0,
            "meter": 1 if slow or random.random() < 0.5 else 0,
            "max_rate": 4_000_000,
            "quantity": random.randrange(1, 60),
            "duration": random.randrange(30, 400),
            "budget": random.randrange(10, 200),
            "replicas": replicas,
            "quorum": random.choice((0, replicas // 2 + 1)) if slow else 0,
            "max_leases": replicas + random.randrange(4),
            "bond": bond,
            "notice": random.randrange(10, 41),
            "min_charge": random.randrange(bond + 1) if random.random() < 0.6 else 0,
            "arbiter": random.choice(ARBITERS).address if slow else ZERO_ADDRESS,
            "challenge_window": random.randrange(10, 60) if slow else 0,
            "matcher": random.choice((MATCHERS[0].address, MATCHERS[0].address, ZERO_ADDRESS)),
            "deputy": random.choice((MATCHERS[1].address, ZERO_ADDRESS)),
            "matcher_until": now + random.choice((0, 50, 10 * DAY)),
            "fee": random.randrange(4),
            "expiry": self.expiry(now),
            "epoch": epochs[buyer.address],
            "salt": self._salt(),
        }
        if random.random() < 0.06:
            # The widest numbers that the types hold.
            terms |= {"quantity": 2**64 - 1, "budget": 2**48 - 1, "max_rate": 2**32 - 1, "max_leases": 16}
            terms |= random.choice(({}, {"bond": 2**47}, {"bond": 2**48 - 1, "min_charge": 2**48 - 1}))
        if random.random() < 0.18:
            terms |= random.choice(_ORDER_FAULTS)
        if random.random() < 0.01:
            terms["epoch"] += 1
        return Order(**terms)

    def offer(self, now: int, epochs: dict[Address, int], order: Order, provider: Actor | None = None) -> Offer:
        """One that mostly serves the order, and others like it."""
        random = self.random
        seller = provider or random.choice(PROVIDERS)
        terms: dict[str, Any] = {
            "provider": seller.address,
            "quantities": _OFFERED,
            "traits": _TRAITS,
            "zone": random.choice((1, 2, 3)),
            "meter": min(order.meter, 1),
            "rate": random.choice((1_000_000, 1_500_000, 2_400_001)),
            "capacity": random.choice((1, 3, 1000, 1000, 1000)),
            "min_duration": 5,
            "max_duration": 500,
            "notice": 10,
            "min_charge": 0,
            "bond": 20,
            "arbiter": order.arbiter,
            "expiry": self.expiry(now),
            "epoch": epochs[seller.address],
            "salt": self._salt(),
        }
        if order.max_rate == 2**32 - 1:
            terms |= {"rate": random.choice((2**32 - 1, 1)), "bond": 2**48 - 1}
        if random.random() < 0.07:
            terms |= random.choice(_OFFER_FAULTS)
        if random.random() < 0.02:
            terms["epoch"] += 1
        return Offer(**terms)
