"""Money: locks round up, earnings round down, texts name whole base units or nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import TermOutOfRange
from protocol.units import earned_down, format_dollars, lock_up, parse_dollars, units_up

rates = st.integers(1, 2**32 - 1)
works = st.integers(0, 2**63)


@given(rate=rates, work=works)
def test_what_a_lease_earns_never_exceeds_what_it_locked_for_the_same_work(rate: int, work: int) -> None:
    assert earned_down(1, rate, work) <= lock_up(rate, units_up(work))


@given(rate=rates, steps=st.lists(st.integers(0, 10**10), max_size=20))
def test_paying_by_segments_pays_what_paying_at_once_does(rate: int, steps: list[int]) -> None:
    total, paid = 0, 0
    for step in steps:
        total += step
        paid = max(paid, earned_down(1, rate, total))
    assert paid == earned_down(1, rate, sum(steps))


@given(base=st.integers(0, 2**63))
def test_dollars_survive_being_written_and_read(base: int) -> None:
    assert parse_dollars(format_dollars(base)) == base


_NO_AMOUNT = ["", "abc", "-1", "0.0000001", "NaN", "Infinity", "1e400", "1e999999999", "0x10", "1e2", "1_0", "5.", ".5"]
_OTHER_DIGITS = "\N{ARABIC-INDIC DIGIT THREE}"
_AMBIGUOUS = ["1,5", "1,50", "1.000,50", "1,0000", ",5"]


@pytest.mark.parametrize("text", [*_NO_AMOUNT, *_AMBIGUOUS, _OTHER_DIGITS])
def test_an_amount_that_names_no_whole_base_unit_is_refused(text: str) -> None:
    with pytest.raises(TermOutOfRange, match="amount"):
        parse_dollars(text)


@pytest.mark.parametrize(
    ("text", "base"), [("2", 2_000_000), (" $1,234.5 ", 1_234_500_000), ("0.000001", 1), ("00", 0)]
)
def test_dollars_are_read_as_people_write_them(text: str, base: int) -> None:
    assert parse_dollars(text) == base
