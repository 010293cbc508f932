"""The matching rule against a naive second writing of it, and its promises one by one."""

import pytest

from backend.matching import fits, index, page, policy, reach, sheet
from backend.matching.book import BookOffer, BookOrder
from backend.matching.index import OfferIndex
from backend.matching.policy import decide, match
from protocol.hashing import Address, keccak256
from protocol.zones import zone_by_id, zone_mask
from tests.support.builders import an_address, make_offer, make_order
from tests.support.naive_matching import naive_match
from tests.support.random_books import MIN_NOTICE, random_book


def _offer(index: int, *, open_leases: int = 0, **terms: object) -> BookOffer:
    offer = make_offer(**{"provider": an_address(f"provider {index}"), **terms})
    return BookOffer(
        digest=keccak256(f"offer {index}".encode()), offer=offer, signature=bytes(65), open_leases=open_leases
    )


def _order(
    index: int,
    *,
    fills: tuple[int, ...] = (0,),
    arrived: int = 0,
    tried: frozenset[Address] = frozenset(),
    **terms: object,
) -> BookOrder:
    digest = keccak256(f"order {index}".encode())
    return BookOrder(digest=digest, order=make_order(**terms), fills=fills, arrived=arrived, tried=tried)


def _found(offers: list[BookOffer], orders: list[BookOrder]) -> list[tuple[bytes, int, bytes]]:
    return [(pairing.order.digest, pairing.fill, pairing.offer.digest) for pairing in match(offers, orders, MIN_NOTICE)]


class TestSecondWriting:
    def test_a_thousand_random_books_give_the_same_pairings(self) -> None:
        pairings = 0
        for seed in range(1000):
            offers, orders = random_book(seed)
            found = _found(offers, orders)
            assert found == naive_match(offers, orders, MIN_NOTICE), f"book {seed}"
            pairings += len(found)
        assert pairings > 2000

    @pytest.mark.parametrize(
        ("weighed", "bids", "places", "ahead", "rows"),
        [(1, 32, 2, 16, 1024), (1, 32, 2, 1, 16), (3, 2, 3, 1, 1024), (128, 1, 2, 2, 16)],
    )
    def test_so_they_do_where_every_limit_is_reached(
        self, monkeypatch: pytest.MonkeyPatch, weighed: int, bids: int, places: int, ahead: int, rows: int
    ) -> None:
        monkeypatch.setattr(reach, "MOST_WEIGHED", weighed)
        monkeypatch.setattr(fits, "MOST_AHEAD", ahead)
        monkeypatch.setattr(policy, "MOST_BIDS", bids)
        monkeypatch.setattr(index, "MOST_PLACES", places)
        monkeypatch.setattr(sheet, "MOST_ROWS", rows)
        for seed in range(300):
            offers, orders = random_book(seed)
            assert _found(offers, orders) == naive_match(offers, orders, MIN_NOTICE), f"book {seed}"


class TestIndex:
    def test_what_it_finds_does_not_depend_on_how_it_came_to_hold_the_book(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(index, "MOST_PLACES", 4)
        monkeypatch.setattr(page, "MOST_PLACES", 4)
        # Never anew.
        monkeypatch.setattr(index, "_ONE_BY_ONE", 0)
        kept, book = OfferIndex(), list[BookOffer]()
        for seed in range(300):
            offers, orders = random_book(seed)
            # Every second offer of the book before stays, so that others are put between and taken from between.
            book = book[1::2] + offers
            kept = kept.following(book)
            assert len(kept) == len(book)
            assert decide(kept, orders, MIN_NOTICE) == decide(OfferIndex(book), orders, MIN_NOTICE), f"book {seed}"

    def test_few_changes_are_made_one_by_one_and_many_at_once(self) -> None:
        kept = OfferIndex([_offer(number) for number in range(100)])
        few = [_offer(number) for number in range(2, 101)]
        assert kept.following(few) is kept
        assert len(kept) == 99
        assert kept.following(few[50:]) is not kept

    def test_numbers_of_those_that_left_are_given_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(index, "_ONE_BY_ONE", 0)
        kept = OfferIndex([_offer(0, capacity=2)])
        for number in range(1, 50):
            kept = kept.following([_offer(number, capacity=number)])
        assert kept.doors <= 2
        assert len(kept.providers) == 1

    def test_terms_of_those_that_left_are_forgotten(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(page, "MOST_PLACES", 4)
        kept = OfferIndex([_offer(0)])
        for number in range(1, 50):
            kept.put(_offer(number, min_duration=number, max_duration=number))
            kept.remove(_offer(number).digest)
        kept.put(_offer(50, rate=1))
        found = decide(kept, [_order(1)], MIN_NOTICE)
        assert [pairing.offer.offer.rate for pairing in found] == [1]


def test_the_cheapest_fitting_offer_wins_and_equal_rates_go_to_the_lower_digest() -> None:
    book = [_offer(1, rate=5), _offer(2, rate=3), _offer(3, rate=3)]
    chosen = match(book, [_order(1)], MIN_NOTICE)[0].offer
    assert chosen.offer.rate == 3
    assert chosen.digest == min(book[1].digest, book[2].digest)


def test_the_outcome_does_not_depend_on_the_order_of_the_snapshot() -> None:
    book = [_offer(index, rate=1 + index % 3) for index in range(8)]
    waiting = [_order(index, arrived=index % 2) for index in range(6)]
    assert match(book, waiting, MIN_NOTICE) == match(book[::-1], waiting[::-1], MIN_NOTICE)


def test_of_equal_rates_the_provider_with_fewer_leases_comes_first() -> None:
    book = [_offer(1, capacity=3, open_leases=2), _offer(2, capacity=3), _offer(3, capacity=3, open_leases=1)]
    assert [pairing.offer.open_leases for pairing in match(book, [_order(1)], MIN_NOTICE)] == [0]


def test_where_offers_are_scarce_the_buyer_who_can_only_use_one_gets_it() -> None:
    german, french = _offer(1, rate=2), _offer(2, rate=3, zone=zone_by_id("FR").number)
    flexible, picky = _order(1, max_rate=10), _order(2, max_rate=9, zones=zone_mask(["DE"]), arrived=1)
    chosen = {pairing.order.digest: pairing.offer for pairing in match([german, french], [flexible, picky], MIN_NOTICE)}
    assert chosen == {flexible.digest: french, picky.digest: german}


def test_an_order_counts_for_what_its_budget_can_pay() -> None:
    boaster = _order(1, max_rate=10**6, quantity=10**12, budget=10)
    payer = _order(2, max_rate=10**6, quantity=10**6, budget=10**6, arrived=1)
    assert [pairing.order for pairing in match([_offer(1, rate=1)], [boaster, payer], MIN_NOTICE)] == [payer]


class TestReplicas:
    def test_each_gets_another_provider_and_where_asked_another_zone(self) -> None:
        zones = [zone_by_id(name).number for name in ("DE", "DE", "FR", "ES")]
        book = [_offer(index, rate=1 + index, zone=zone) for index, zone in enumerate(zones)]
        three = _order(1, replicas=3, fills=(0, 1, 2))
        assert [pairing.offer for pairing in match(book, [three], MIN_NOTICE)] == book[:3]
        spread = match(book, [_order(1, replicas=3, distinct_zones=True, fills=(0, 1, 2))], MIN_NOTICE)
        assert [pairing.offer for pairing in spread] == [book[0], book[2], book[3]]
        twice = [_offer(1, capacity=5), _offer(1, capacity=5, salt=2)]
        assert match(twice, [_order(1, replicas=2, fills=(0, 1))], MIN_NOTICE) == []

    def test_an_order_gets_all_or_none_and_what_it_leaves_goes_to_others(self) -> None:
        book = [_offer(1), _offer(2)]
        greedy = _order(1, max_rate=9_000_000, replicas=3, fills=(0, 1, 2))
        modest = _order(2, arrived=1)
        assert [pairing.order for pairing in match(book, [greedy, modest], MIN_NOTICE)] == [modest]


class TestCapacity:
    def test_the_leases_of_a_provider_are_counted_over_all_its_offers(self) -> None:
        who = an_address("one")
        small, large = _offer(1, provider=who, rate=1), _offer(2, provider=who, rate=2, capacity=2)
        pairings = match([small, large], [_order(index) for index in range(4)], MIN_NOTICE)
        # The ledger opens them in this order: the small offer would not hold as the second lease.
        assert [pairing.offer for pairing in pairings] == [small, large]

    def test_a_full_provider_gets_nothing(self) -> None:
        assert match([_offer(1, capacity=2, open_leases=2)], [_order(1)], MIN_NOTICE) == []


def test_a_retry_goes_to_another_provider_while_there_is_one() -> None:
    cheap, dear = _offer(1, rate=1), _offer(2, rate=4)
    tried = frozenset({cheap.offer.provider})
    assert match([cheap, dear], [_order(1, tried=tried)], MIN_NOTICE)[0].offer is dear
    assert match([cheap], [_order(1, tried=tried)], MIN_NOTICE)[0].offer is cheap
