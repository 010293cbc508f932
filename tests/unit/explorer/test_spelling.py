"""Spelling: what people read."""

import pytest

from explorer.identicon import SIDE, identicon
from explorer.spelling import chain_name, duration, is_test_chain, iso, moment, relative, short, zone_name
from tests.support.fake_mirror import BUYER, PROVIDER


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (3_600, "1 h"),
        (3_605, "1 h"),
        (90_061, "1 d 1 h"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: int, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("time", "words"),
    [(100, "now"), (88, "12 s ago"), (40, "1 min ago"), (400, "in 5 min"), (100 - 90_000, "1 d ago")],
)
def test_a_distance_in_time_has_one_unit(time: int, words: str) -> None:
    assert relative(time, 100) == words


def test_times_are_utc() -> None:
    assert iso(1_767_225_600) == "2026-01-01T00:00:00Z"
    assert moment(1_767_225_600) == "2026-01-01 00:00:00 UTC"


def test_a_hash_is_shortened_and_a_short_text_is_not() -> None:
    assert short(bytes(range(32))) == "0x0001…1e1f"
    assert short("hello") == "hello"


def test_zones_have_names_and_unknown_ones_say_so() -> None:
    assert zone_name(1) == "Germany (DE)"
    assert zone_name(0) == "not declared"
    assert zone_name(255) == "zone 255"


def test_an_unknown_chain_counts_as_a_test_chain() -> None:
    assert is_test_chain(31337)
    assert is_test_chain(424242)
    assert not is_test_chain(8453)
    assert chain_name(31337) == "chain 31337"


def test_an_address_has_one_picture_in_every_spelling() -> None:
    assert identicon(BUYER) == identicon(BUYER.lower())
    assert identicon(BUYER) != identicon(PROVIDER)
    columns = [int(mark.split()[0]) for mark in identicon(BUYER).marks.split("M")[1:]]
    assert sorted(columns) == sorted(SIDE - 1 - column for column in columns)
