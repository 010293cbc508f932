"""Lanes: one subtraction says the same as a loop over all lanes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import TermOutOfRange
from protocol.resources import GUARDS, Quantities, lanes_cover, lanes_short, names_of, pack_traits
from protocol.zones import all_but, zone_by_id, zone_by_number, zone_mask, zones

lanes = st.lists(st.integers(0, 32767), min_size=16, max_size=16)


def _packed(values: list[int]) -> int:
    return sum(value << 16 * lane for lane, value in enumerate(values))


@given(offered=lanes, needed=lanes)
def test_one_subtraction_compares_every_lane(offered: list[int], needed: list[int]) -> None:
    expected = all(have >= want for have, want in zip(offered, needed, strict=True))
    assert lanes_cover(_packed(offered), _packed(needed)) is expected
    assert bool(lanes_short(_packed(offered), _packed(needed))) is not expected


@given(offered=lanes, lane=st.integers(0, 15))
def test_a_guard_bit_never_covers_and_is_never_covered(offered: list[int], lane: int) -> None:
    guard = 1 << (16 * lane + 15)
    assert not lanes_cover(_packed(offered) | guard, 0)
    assert not lanes_cover(_packed([32767] * 16), guard)
    assert guard & GUARDS == guard


def test_quantities_survive_packing_and_refuse_what_does_not_fit() -> None:
    asked = Quantities(cpu_eighths=12, gpu_count=8, renewable_percent=100)
    assert Quantities.unpack(asked.pack()) == asked
    with pytest.raises(TermOutOfRange, match="gpu_count"):
        Quantities(gpu_count=32768).pack()


def test_traits_pack_by_name_and_an_unknown_one_is_refused() -> None:
    assert names_of(pack_traits(["solar", "wasi-det/1"])) == ["wasi-det/1", "solar"]
    with pytest.raises(TermOutOfRange, match="trait"):
        pack_traits(["fusion"])


def test_the_zone_table_numbers_are_dense_unique_and_fit_the_mask() -> None:
    numbers = [zone.number for zone in zones()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) <= 255
    assert len({zone.id for zone in zones()}) == len(numbers)
    assert zone_by_number(0) is None
    assert zone_by_number(zone_by_id("DE").number) == zone_by_id("DE")


def test_excluding_zones_leaves_all_others_and_never_the_undeclared_one() -> None:
    mask = all_but(["DE"])
    assert mask & zone_mask(["DE"]) == 0
    assert mask & zone_mask(["FR"]) != 0
    assert mask & 1 == 0
