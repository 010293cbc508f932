"""Money and metered units as integers.

One base unit is 10⁻⁶ of the token (a dollar); one pico-dollar of rate is 10⁻⁶ base units per metered unit.
Rounding is in the name: what a lease locks rounds up, what it earns rounds down.
"""

import re
from typing import Final

from protocol.errors import TermOutOfRange

BASE_PER_DOLLAR: Final = 10**6
METER_MILLISECONDS: Final = 0
METER_WORK: Final = 1
WORK_PER_UNIT: Final = 10**6
"""Raw work in one metered unit of METER_WORK."""

_RATE_SCALE: Final = 10**6
_DOLLARS: Final = re.compile(r"\$?([0-9]{1,20}|[0-9]{1,3}(?:,[0-9]{3}){1,6})(?:\.([0-9]{1,6}))?")


def lock_up(rate: int, quantity: int) -> int:
    """Base units that `quantity` metered units cost at most at `rate` pico-dollars, rounded up."""
    return -(-rate * quantity // _RATE_SCALE)


def earned_down(meter: int, rate: int, metered: int) -> int:
    """Base units earned at `rate` pico-dollars, rounded down.

    `metered` is milliseconds for METER_MILLISECONDS and raw cumulative work for METER_WORK, so that segments lose
    nothing to rounding.
    """
    if meter == METER_MILLISECONDS:
        return rate * metered // _RATE_SCALE
    if meter == METER_WORK:
        return rate * metered // (_RATE_SCALE * WORK_PER_UNIT)
    raise TermOutOfRange("meter", "0 (milliseconds) or 1 (work)", meter)


def units_up(work: int) -> int:
    """Metered units (10⁶ work) that cover `work`, rounded up."""
    return -(-work // WORK_PER_UNIT)


def format_dollars(base: int) -> str:
    """`$0.001234` of 1234 base units; always six decimals, so that columns line up."""
    if base < 0:
        return "-" + format_dollars(-base)
    digits = str(base).zfill(7)
    whole = digits[:-6]
    return f"${whole if len(whole) < 4 else f'{int(whole):,}'}.{digits[-6:]}"


def parse_dollars(text: str) -> int:
    """Base units of a dollar text such as `2` or `$1,000.05`; raises `TermOutOfRange` if no whole base unit is named.

    A comma only ever parts thousands: `1,5` is fifteen to one reader and one and a half to another, so it is refused.
    """
    found = _DOLLARS.fullmatch(text.strip())
    base = int(found[1].replace(",", "")) * BASE_PER_DOLLAR + int((found[2] or "").ljust(6, "0")) if found else -1
    if not 0 <= base < 2**64:
        raise TermOutOfRange("amount", "dollars with at most 6 decimals, such as 0.05", repr(text))
    return base


def format_rate(meter: int, rate: int) -> str:
    """A rate as pages quote it: dollars per hour, or per 10⁹ work."""
    if meter == METER_MILLISECONDS:
        return f"{format_dollars(earned_down(meter, rate, 3_600_000))}/h"
    return f"{format_dollars(earned_down(meter, rate, 10**9))}/10⁹ work"
