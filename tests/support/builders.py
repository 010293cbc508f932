"""Messages for tests: only what matters is named, the rest is plain and valid."""

from typing import Any

from protocol.hashing import checksum_address, cid_of, keccak256, sha256
from protocol.manifest import Manifest
from protocol.resources import Quantities, pack_traits
from protocol.terms import Offer, Order
from protocol.zones import zone_by_id

FAR_TIME = 4_000_000_000


def an_address(label: str) -> Any:
    return checksum_address(keccak256(label.encode())[12:])


def make_offer(**changes: Any) -> Offer:
    """Eight vCPUs and 16 GiB in Germany at 2.4 dollars per 10¹² work."""
    plain = {
        "provider": an_address("provider"),
        "quantities": Quantities(cpu_eighths=64, memory_quarter_gib=64, disk_gib=100).pack(),
        "traits": pack_traits(["wasi-det/1", "solar"]),
        "zone": zone_by_id("DE").number,
        "meter": 1,
        "rate": 2_400_000,
        "capacity": 1,
        "min_duration": 10,
        "max_duration": 3600,
        "notice": 30,
        "expiry": FAR_TIME,
        "epoch": 0,
        "salt": 1,
    }
    return Offer(**{**plain, **changes})


def make_order(**changes: Any) -> Order:
    """2000 units of work, at most 5 dollars per 10¹², three leases."""
    plain = {
        "buyer": an_address("buyer"),
        "voucher_signer": an_address("voucher signer"),
        "job": keccak256(b"job"),
        "quantities": Quantities(memory_quarter_gib=4).pack(),
        "all_of": pack_traits(["wasi-det/1"]),
        "meter": 1,
        "max_rate": 5_000_000,
        "quantity": 2000,
        "duration": 900,
        "budget": 20_000,
        "max_leases": 3,
        "notice": 60,
        "matcher": an_address("matcher"),
        "matcher_until": FAR_TIME,
        "fee": 100,
        "expiry": FAR_TIME,
        "epoch": 0,
        "salt": 1,
    }
    return Order(**{**plain, **changes})


def make_manifest(**changes: Any) -> Manifest:
    """A job of one segment that nobody ran."""
    limits = {"memory_bytes": 1 << 24, "work": 2 * 10**9, "wall_seconds": 60, "output_bytes": 1}
    return Manifest.parse(
        {"version": 1, "runtime": "wasi-det/1", "module": cid_of(sha256(b"module")), "limits": limits} | changes
    )
