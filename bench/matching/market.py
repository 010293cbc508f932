"""A drawn market: machines as they are sold, jobs as they are asked for. Every lane, trait, zone and term is in use."""

import random
from copy import copy
from typing import Final

from backend.matching.book import BookOffer, BookOrder
from protocol.hashing import Address, keccak256
from protocol.resources import Quantities, pack_traits
from protocol.terms import Offer, Order
from protocol.zones import zones

FAR_TIME: Final = 4_000_000_000
MIN_NOTICE: Final = 10

#: vCPUs, GiB of memory, GiB of disk, GPUs, GiB and fp16 TFLOPS of one, GPU family
_MACHINES: Final[tuple[tuple[int, int, int, int, int, int, str | None], ...]] = (
    (4, 8, 100, 0, 0, 0, None),
    (8, 16, 200, 0, 0, 0, None),
    (16, 64, 500, 0, 0, 0, None),
    (32, 128, 1000, 0, 0, 0, None),
    (64, 256, 2000, 0, 0, 0, None),
    (8, 32, 500, 1, 12, 51, "nvidia-ampere"),
    (16, 64, 1000, 1, 24, 165, "nvidia-ada"),
    (32, 128, 2000, 2, 24, 165, "nvidia-ada"),
    (64, 512, 4000, 4, 80, 312, "nvidia-ampere"),
    (96, 1024, 8000, 8, 80, 990, "nvidia-hopper"),
    (24, 96, 1000, 1, 24, 122, "amd-rdna"),
    (96, 1024, 8000, 8, 192, 1307, "amd-cdna"),
)
_WEIGHTS: Final = (20, 20, 15, 8, 4, 10, 10, 4, 3, 2, 3, 1)
_SOURCES: Final = ("solar", "wind", "hydro", "nuclear", "storage")
_SITES: Final = ("home", "campus", "community", "edge", "datacentre")
_ARBITERS: Final = (Address("0x" + "00" * 20), Address("0x" + "11" * 20))
_ZONES: Final = len(zones())


def _address(label: str) -> Address:
    # Not checksummed: the message spells it right.
    return Address("0x" + keccak256(label.encode())[12:].hex())


def offers(count: int, seed: int, *, zone_count: int = _ZONES) -> list[BookOffer]:
    """`count` offers of as many providers, with room for one lease each."""
    draw = random.Random(f"offers {seed}")
    return [_offer(draw, f"{seed} {index}", zone_count) for index in range(count)]


def many_offers(count: int, seed: int, kinds: int = 20_000) -> list[BookOffer]:
    """Like `offers`, but each drawn one many times, by other providers at other rates: making each anew takes long."""
    draw = random.Random(f"many {seed}")
    drawn = offers(min(kinds, count), seed)
    return [
        BookOffer(
            digest=index.to_bytes(32, "big"),
            offer=_varied(
                drawn[index % len(drawn)].offer, Address(f"0x{index:040x}"), draw.randint(200_000, 9_000_000)
            ),
            signature=bytes(65),
            open_leases=0,
        )
        for index in range(count)
    ]


def _varied(offer: Offer, provider: Address, rate: int) -> Offer:
    made = copy(offer)
    object.__setattr__(made, "provider", provider)
    object.__setattr__(made, "rate", rate)
    return made


def _offer(draw: random.Random, label: str, zone_count: int) -> BookOffer:
    kind = draw.choices(_MACHINES, _WEIGHTS)[0]
    cpus, memory, disk, gpus, gpu_memory, tflops, family = kind
    renewable = draw.choice((0, 20, 40, 60, 80, 100))
    names = ["wasi-det/1", draw.choice(_SITES), *draw.sample(_SOURCES, draw.randint(1, 2))]
    names += ["oci/1"] if draw.random() < 0.7 else []
    names += [family] if family else []
    base = 400_000 + 9_000 * cpus + 600_000 * gpus
    bond = draw.choice((0, 5_000, 50_000))
    terms = Offer(
        provider=_address(f"provider {label}"),
        quantities=Quantities(
            cpu_eighths=8 * cpus,
            memory_quarter_gib=4 * memory,
            disk_gib=disk,
            gpu_count=gpus,
            gpu_memory_gib=gpu_memory,
            gpu_tflops=tflops,
            down_mbit=draw.choice((50, 100, 250, 500, 1000, 10_000)),
            up_mbit=draw.choice((10, 50, 100, 500, 1000, 10_000)),
            carbon_headroom=2000 - draw.randrange(20, 900, 20),
            renewable_percent=renewable,
        ).pack(),
        traits=pack_traits(names),
        zone=draw.randint(1, zone_count),
        meter=1,
        rate=int(base * draw.uniform(0.5, 2)),
        capacity=1,
        min_duration=draw.choice((10, 60, 300)),
        max_duration=draw.choice((3600, 14_400, 86_400)),
        notice=draw.choice((10, 30, 60)),
        min_charge=draw.choice((0, 100)) if bond else 0,
        bond=bond,
        arbiter=_ARBITERS[bond > 0],
        expiry=FAR_TIME,
        epoch=0,
        salt=draw.getrandbits(256),
    )
    return BookOffer(digest=keccak256(f"offer {label}".encode()), offer=terms, signature=bytes(65), open_leases=0)


def orders(count: int, seed: int, *, zone_count: int = _ZONES) -> list[BookOrder]:
    """`count` orders of one lease each."""
    draw = random.Random(f"orders {seed}")
    return [_order(draw, f"{seed} {index}", zone_count) for index in range(count)]


def _order(draw: random.Random, label: str, zone_count: int) -> BookOrder:
    cpus, memory, disk, gpus, gpu_memory, tflops, family = draw.choices(_MACHINES, _WEIGHTS)[0]
    part = draw.choice((0.25, 0.5, 0.5, 1))
    named = draw.sample(range(1, zone_count + 1), draw.choice((1, 2, 4, 8)) * zone_count // 40 or 1)
    everywhere = draw.random() < 0.15
    has_bond = draw.random() < 0.6
    base = 400_000 + 9_000 * int(part * cpus) + 600_000 * gpus
    max_rate, quantity = int(base * draw.uniform(0.8, 2.5)), int(draw.lognormvariate(8, 1)) + 1
    all_of = ["wasi-det/1" if draw.random() < 0.7 else "oci/1"]
    all_of += [family] if family and draw.random() < 0.5 else []
    terms = Order(
        buyer=_address(f"buyer {label}"),
        voucher_signer=_address("voucher signer"),
        job=keccak256(label.encode()),
        quantities=Quantities(
            cpu_eighths=int(8 * part * cpus),
            memory_quarter_gib=int(4 * part * memory),
            disk_gib=int(part * disk),
            gpu_count=gpus,
            gpu_memory_gib=gpu_memory,
            gpu_tflops=tflops,
            down_mbit=draw.choice((0, 0, 50, 100)),
            up_mbit=draw.choice((0, 0, 10, 50)),
            carbon_headroom=2000 - draw.choice((2000, 2000, 700, 500)),
            renewable_percent=draw.choice((0, 0, 20, 50)),
        ).pack(),
        all_of=pack_traits(all_of),
        any_of=pack_traits(draw.sample(_SOURCES, 3)) if draw.random() < 0.4 else 0,
        none_of=pack_traits(["home"]) if draw.random() < 0.2 else 0,
        zones=0 if everywhere else sum(1 << zone for zone in named),
        meter=1,
        max_rate=max_rate,
        quantity=quantity,
        duration=draw.choice((600, 900, 3600)),
        budget=2 * max_rate * quantity // 10**6 + 1,
        max_leases=3,
        bond=draw.choice((1_000, 5_000)) if has_bond else 0,
        notice=60,
        min_charge=100 if has_bond else 0,
        arbiter=_ARBITERS[has_bond],
        challenge_window=600 if has_bond else 0,
        matcher=_address("matcher"),
        matcher_until=FAR_TIME,
        fee=100,
        expiry=FAR_TIME,
        epoch=0,
        salt=draw.getrandbits(256),
    )
    return BookOrder(
        digest=keccak256(f"order {label}".encode()), order=terms, fills=(0,), arrived=draw.randrange(10**6)
    )
