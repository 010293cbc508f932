"""The matching rule against a naive second writing of it, and its promises one by one."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from backend.matching.policy import BookOffer, BookOrder, explain, match
from protocol.events import Skip
from protocol.fit import mismatch
from protocol.hashing import Address, keccak256
from protocol.resources import Quantities
from protocol.zones import zone_by_id, zone_mask
from tests.support.builders import an_address, make_offer, make_order

MIN_NOTICE = 10


def _offer(index: int, *, open_leases: int = 0, **terms: object) -> BookOffer:
    offer = make_offer(**{"provider": an_address(f"provider {index}"), **terms})
    return BookOffer(
        digest=keccak256(f"offer {index}".encode()), offer=offer, signature=bytes(65), open_leases=open_leases
    )


def _order(index: int, *, arrived: int = 0, tried: frozenset[Address] = frozenset(), **terms: object) -> BookOrder:
    return BookOrder(
        digest=keccak256(f"order {index}".encode()), order=make_order(**terms), fill=0, arrived=arrived, tried=tried
    )


def _naive(offers: list[BookOffer], orders: list[BookOrder]) -> list[tuple[bytes, bytes]]:
    """The rule once more, written as slowly and plainly as possible."""
    room = {entry.offer.provider: 0 for entry in offers}
    result = []
    for order in sorted(orders, key=lambda entry: (entry.arrived, entry.digest)):
        candidates = []
        for entry in offers:
            if mismatch(entry.offer, order.order, MIN_NOTICE) is not Skip.NONE:
                continue
            if entry.open_leases + room[entry.offer.provider] >= entry.offer.capacity:
                continue
            candidates.append(
                (entry.offer.provider in order.tried, entry.offer.rate, entry.digest, entry.offer.provider)
            )
        if candidates:
            _, _, digest, provider = min(candidates)
            room[provider] += 1
            result.append((order.digest, digest))
    return result


offers_strategy = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.integers(1, 4),
        st.integers(1, 3),
        st.integers(0, 2),
        st.integers(0, 64),
        st.sampled_from(["DE", "FR", "ES"]),
    ),
    max_size=12,
)
orders_strategy = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 5), st.integers(0, 64), st.sampled_from([[], ["DE"], ["FR", "ES"]])),
    max_size=12,
)


@given(offers=offers_strategy, orders=orders_strategy)
def test_the_rule_gives_the_same_matches_as_a_naive_writing_of_it(
    offers: list[tuple[int, int, int, int, int, str]], orders: list[tuple[int, int, int, list[str]]]
) -> None:
    book = [
        BookOffer(
            digest=keccak256(f"offer {index}".encode()),
            offer=make_offer(
                provider=an_address(f"p{who}"), rate=rate, capacity=capacity, zone=zone_by_id(zone).number,
                quantities=Quantities(memory_quarter_gib=memory).pack(),
            ),
            signature=bytes(65),
            open_leases=busy,
        )
        for index, (who, rate, capacity, busy, memory, zone) in enumerate(offers)
    ]  # fmt: skip
    waiting = [
        _order(
            index,
            arrived=arrived,
            max_rate=rate,
            quantities=Quantities(memory_quarter_gib=memory).pack(),
            zones=zone_mask(zones),
        )
        for index, (arrived, rate, memory, zones) in enumerate(orders)
    ]
    found = [(pairing.order.digest, pairing.offer.digest) for pairing in match(book, waiting, MIN_NOTICE)]
    assert found == _naive(book, waiting)
    assert max(Counter(order for order, _ in found).values(), default=0) <= 1


def test_the_cheapest_fitting_offer_wins_and_equal_rates_go_to_the_lower_digest() -> None:
    book = [_offer(1, rate=5), _offer(2, rate=3), _offer(3, rate=3)]
    chosen = match(book, [_order(1)], MIN_NOTICE)[0].offer
    assert chosen.offer.rate == 3
    assert chosen.digest == min(book[1].digest, book[2].digest)


def test_the_outcome_does_not_depend_on_the_order_of_the_snapshot() -> None:
    book = [_offer(index, rate=1 + index % 3) for index in range(8)]
    waiting = [_order(index, arrived=index % 2) for index in range(6)]
    assert match(book, waiting, MIN_NOTICE) == match(book[::-1], waiting[::-1], MIN_NOTICE)


def test_a_retry_goes_to_another_provider_while_there_is_one() -> None:
    cheap, dear = _offer(1, rate=1), _offer(2, rate=4)
    tried = frozenset({cheap.offer.provider})
    assert match([cheap, dear], [_order(1, tried=tried)], MIN_NOTICE)[0].offer is dear
    assert match([cheap], [_order(1, tried=tried)], MIN_NOTICE)[0].offer is cheap


def test_each_refused_offer_is_explained_with_the_nearest_change() -> None:
    book = [_offer(1, rate=9_000_000), _offer(2, zone=zone_by_id("FR").number), _offer(3, open_leases=1)]
    waiting = _order(1, zones=zone_mask(["DE"]))
    said = {entry.skip: entry.remedy for entry in explain(book, waiting, MIN_NOTICE)}
    assert "raise max_rate to 9000000" in said[Skip.RATE]
    assert "allow zone FR" in said[Skip.ZONE]
    assert "wait" in said[Skip.CAPACITY]
