"""What a machine offers and a job needs: 16 packed lanes and a bitset of traits (SPEC "Resources").

A lane is 15 bits and a guard bit that must be 0. Setting all guards in the offer and subtracting the order leaves each
guard set exactly where offer ≥ order, so one subtraction compares all lanes, on chain and here.
"""

from dataclasses import dataclass, fields
from typing import Final, Self

from protocol.errors import TermOutOfRange

LANE_BITS: Final = 16
LANE_MAX: Final = (1 << 15) - 1
GUARDS: Final = sum(1 << (LANE_BITS * lane + 15) for lane in range(16))

LANES: Final[tuple[tuple[str, str], ...]] = (
    ("cpu_eighths", "vCPU in eighths"),
    ("memory_quarter_gib", "memory in quarters of a GiB"),
    ("disk_gib", "disk in GiB"),
    ("gpu_count", "GPUs"),
    ("gpu_memory_gib", "memory of one GPU in GiB"),
    ("gpu_tflops", "fp16 TFLOPS of one GPU"),
    ("down_mbit", "network down in Mbit/s"),
    ("up_mbit", "network up in Mbit/s"),
    ("carbon_headroom", "2000 − gCO2e/kWh: lower carbon is a higher lane"),
    ("renewable_percent", "renewable share in percent"),
)
"""Name and unit of each lane in use; lanes 10..15 are 0."""

CARBON_CEILING: Final = 2000
"""gCO2e/kWh at which the headroom is 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantities:
    """The lanes by name, each 0..32767; as an offer what there is, as an order what is needed."""

    #: eighths of a vCPU
    cpu_eighths: int = 0
    #: quarters of a GiB
    memory_quarter_gib: int = 0
    disk_gib: int = 0
    gpu_count: int = 0
    gpu_memory_gib: int = 0
    #: fp16
    gpu_tflops: int = 0
    down_mbit: int = 0
    up_mbit: int = 0
    #: 2000 − gCO2e/kWh; 0 = unknown
    carbon_headroom: int = 0
    renewable_percent: int = 0

    def pack(self) -> int:
        """The uint256 of a signed message; raises `TermOutOfRange`."""
        packed = 0
        for lane, item in enumerate(fields(self)):
            value = getattr(self, item.name)
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LANE_MAX:
                raise TermOutOfRange(item.name, f"an integer of 0 to {LANE_MAX}", value)
            packed |= value << (LANE_BITS * lane)
        return packed

    @classmethod
    def unpack(cls, packed: int) -> Self:
        """The inverse of `pack`; lanes without a name are dropped."""
        return cls(**{item.name: (packed >> (LANE_BITS * lane)) & LANE_MAX for lane, item in enumerate(fields(cls))})


def has_guard_bits(packed: int) -> bool:
    """A guard bit that is set would let a lane borrow from its neighbour."""
    return packed & GUARDS != 0


def lanes_cover(offered: int, needed: int) -> bool:
    """Every lane of `offered` ≥ the same lane of `needed`, and no guard bit set in either."""
    if has_guard_bits(offered) or has_guard_bits(needed):
        return False
    return ((offered | GUARDS) - needed) & GUARDS == GUARDS


def lanes_short(offered: int, needed: int) -> list[str]:
    """Names of the lanes in which `offered` falls short."""
    short = []
    for lane in range(16):
        shift = LANE_BITS * lane
        if (offered >> shift) & 0xFFFF < (needed >> shift) & 0xFFFF:
            short.append(LANES[lane][0] if lane < len(LANES) else f"lane_{lane}")
    return short


TRAITS: Final[dict[str, int]] = {
    # runtimes
    "wasi-det/1": 0,
    "oci/1": 1,
    # energy sources, as declared or attested
    "solar": 16,
    "wind": 17,
    "hydro": 18,
    "nuclear": 19,
    "storage": 20,
    # site kinds
    "home": 32,
    "campus": 33,
    "community": 34,
    "edge": 35,
    "datacentre": 36,
    # GPU families
    "nvidia-ampere": 64,
    "nvidia-ada": 65,
    "nvidia-hopper": 66,
    "nvidia-blackwell": 67,
    "amd-cdna": 68,
    "amd-rdna": 69,
    "apple": 70,
}
"""Bit of each trait; bit 255 is reserved (it stands for the zone in `attested`)."""


def pack_traits(names: list[str] | tuple[str, ...]) -> int:
    """Bitset of trait names; raises `TermOutOfRange` on an unknown one."""
    packed = 0
    for name in names:
        if name not in TRAITS:
            raise TermOutOfRange("trait", f"one of {', '.join(TRAITS)}", name)
        packed |= 1 << TRAITS[name]
    return packed


def names_of(traits: int) -> list[str]:
    """Names of the set bits, in bit order; an unnamed bit is `bit_n`."""
    by_bit = {bit: name for name, bit in TRAITS.items()}
    return [by_bit.get(bit, f"bit_{bit}") for bit in range(256) if traits >> bit & 1]


ENERGY_SOURCES: Final[tuple[str, ...]] = tuple(name for name, bit in TRAITS.items() if 16 <= bit < 32)
"""Traits that say where the power comes from."""

RUNTIME_TRAITS: Final[dict[str, int]] = {name: bit for name, bit in TRAITS.items() if bit < 16}
"""Bit of each runtime: an order asks for its job's."""
