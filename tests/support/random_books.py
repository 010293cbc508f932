"""Small random books: few values of everything, so that ties, full providers, scarce offers and clashes are common."""

import random

from backend.matching.book import BookOffer, BookOrder
from protocol.hashing import keccak256
from protocol.resources import Quantities, pack_traits
from tests.support.builders import an_address, make_offer, make_order

MIN_NOTICE = 10
_TRAITS = ("wasi-det/1", "solar", "home")


def random_book(seed: int) -> tuple[list[BookOffer], list[BookOrder]]:
    """Of up to 24 offers and 24 orders; each third book is scarce, each third abundant."""
    draw = random.Random(seed)
    offers, orders = ((3, 24), (24, 8), (12, 12))[seed % 3]
    providers = draw.randint(1, offers)
    return (
        [_offer(draw, seed, index, providers) for index in range(draw.randint(1, offers))],
        [_order(draw, seed, index, providers) for index in range(draw.randint(1, orders))],
    )


def _offer(draw: random.Random, seed: int, index: int, providers: int) -> BookOffer:
    provider = draw.randrange(providers)
    terms = make_offer(
        provider=an_address(f"provider {provider}"),
        quantities=_quantities(draw, 4),
        traits=pack_traits(draw.sample(_TRAITS, draw.randint(2, 3))),
        zone=draw.choice((0, 1, 1, 2, 2, 3)),
        meter=draw.choice((1,) * 19 + (0,)),
        rate=draw.randint(1, 6),
        capacity=draw.choice((1, 1, 2, 3)),
        min_duration=draw.choice((10,) * 19 + (600,)),
        max_duration=draw.choice((3600,) * 19 + (300,)),
        notice=draw.choice((0, 30, 30, 30, 30, 30, 90)),
        min_charge=draw.choice((0,) * 9 + (5,)),
        bond=draw.choice((10, 20, 20, 20)),
        salt=index,
    )
    # The mirror counts leases by provider, so all its offers have the same count.
    busy = random.Random(f"{seed} {provider}").choice((0, 0, 0, 1))
    return BookOffer(
        digest=keccak256(f"offer {seed} {index}".encode()), offer=terms, signature=bytes(65), open_leases=busy
    )


def _order(draw: random.Random, seed: int, index: int, providers: int) -> BookOrder:
    replicas = draw.choice((1, 1, 1, 2, 3))
    terms = make_order(
        quantities=_quantities(draw, 1),
        all_of=pack_traits(draw.sample(_TRAITS, draw.choice((0, 0, 1)))),
        any_of=pack_traits(draw.sample(_TRAITS, draw.choice((0, 0, 2)))),
        none_of=pack_traits(draw.sample(_TRAITS, draw.choice((0,) * 9 + (1,)))),
        zones=draw.choice((0, 0, 0, 0b0110, 0b1000)),
        distinct_zones=draw.random() < 0.3,
        meter=draw.choice((1,) * 19 + (0,)),
        max_rate=draw.randint(3, 9),
        quantity=draw.choice((1, 10, 10, 50, 10**6)),
        duration=draw.choice((60, 900, 900)),
        budget=draw.choice((0, 1, 10**6, 10**6, 10**6, 10**6)),
        replicas=replicas,
        max_leases=draw.randint(replicas, 6),
        bond=draw.choice((5, 10, 10, 10, 15)),
        notice=draw.choice((60, 100)),
        min_charge=draw.choice((0, 5, 5, 5)),
        salt=index,
    )
    some = [an_address(f"provider {number}") for number in draw.sample(range(providers), min(2, providers))]
    later = replicas == 1 and draw.random() < 0.4
    return BookOrder(
        digest=keccak256(f"order {seed} {index}".encode()),
        order=terms,
        fills=(1,) if later else tuple(range(replicas)),
        arrived=draw.randint(0, 2),
        tried=frozenset(some[:1]) if later else frozenset(),
        serving=frozenset(some[1:]) if draw.random() < 0.1 else frozenset(),
        held_zones=frozenset({draw.randrange(4)}) if draw.random() < 0.2 else frozenset(),
    )


def _quantities(draw: random.Random, most: int) -> int:
    return Quantities(
        cpu_eighths=draw.randint(0, most), memory_quarter_gib=draw.randint(0, most), carbon_headroom=draw.choice((0, 1))
    ).pack()
