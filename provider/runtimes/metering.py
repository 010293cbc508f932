"""Work: the reproducible integer units that `wasi-det/1` meters (SPEC "Jobs").

    work of a segment = fuel + (limit pages × fuel) >> 20 + charges

Fuel counts executed instructions; host calls and the bytes they move are burnt as fuel, so that a limit stops a job at
the call that meets it. The coefficients belong to the runtime id: another value is another runtime.
"""

from typing import Final

PAGE_BYTES: Final = 65_536

WORK_PER_HOST_CALL: Final = 20_000
"""A call into the host takes microseconds where an instruction takes a fraction of a nanosecond."""

WORK_PER_BYTE: Final = 8
"""A byte that a host call moves into or out of the job's memory."""

WORK_PER_MODULE_BYTE: Final = 2_000
"""Compilation, charged once, with the first segment."""

WORK_PER_STATE_PAGE: Final = 200_000
"""Hashing and shipping one page of memory at the end of a segment that leaves a checkpoint."""

_MEMORY_SHIFT: Final = 20


def pages_up(size: int) -> int:
    """Pages that hold `size` bytes."""
    return -(-size // PAGE_BYTES)


def with_memory(fuel: int, limit_pages: int) -> int:
    """Fuel with the price of the memory that the job reserves while it burns it, rounded down."""
    return fuel + (limit_pages * fuel >> _MEMORY_SHIFT)


def fuel_within(work: int, limit_pages: int) -> int:
    """The most fuel whose price with memory is at most `work`."""
    fuel = (work << _MEMORY_SHIFT) // ((1 << _MEMORY_SHIFT) + limit_pages)
    while with_memory(fuel + 1, limit_pages) <= work:
        fuel += 1
    return fuel
