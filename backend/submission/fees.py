"""What a transaction offers for a unit of gas (EIP-1559), and by how much more a replacement must (threat R3)."""

from dataclasses import dataclass
from typing import Final

_BUMP_PERCENT: Final = 115
"""Nodes ask for 110 % of both fees; a little more is never refused for a rounding."""


@dataclass(frozen=True, slots=True)
class Fees:
    """In wei per gas."""

    max_fee_wei: int
    priority_fee_wei: int


def first_fees(base_fee_wei: int, priority_fee_wei: int, cap_wei: int) -> Fees | None:
    """Good for base fees up to twice today's; None where the cap cannot buy a place in the next block."""
    if base_fee_wei + priority_fee_wei > cap_wei:
        return None
    return Fees(min(2 * base_fee_wei + priority_fee_wei, cap_wei), priority_fee_wei)


def raised_fees(before: Fees, base_fee_wei: int, cap_wei: int) -> Fees | None:
    """Both raised, and further where the base fee asks for it; None over the cap."""
    lowest, priority = _raised_up(before.max_fee_wei), _raised_up(before.priority_fee_wei)
    if lowest > cap_wei:
        return None
    wanted = max(lowest, 2 * base_fee_wei + priority)
    return Fees(max(min(wanted, cap_wei), priority), priority)


def _raised_up(fee_wei: int) -> int:
    return (fee_wei * _BUMP_PERCENT + 99) // 100
