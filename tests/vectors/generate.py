"""Writes messages.json: what Solidity, Python and JavaScript must all agree on. `--check` compares instead.

The digests are cross-checked against eth-account's own EIP-712 in tests/unit/protocol/test_messages.py.
"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from protocol.events import LedgerHead  # noqa: E402
from protocol.hashing import checksum_address, keccak256, to_hex  # noqa: E402
from protocol.keys import LocalKey  # noqa: E402
from protocol.messages import Domain, digest, sign, struct_hash, to_json  # noqa: E402
from protocol.resources import GUARDS, Quantities, lanes_cover, pack_traits  # noqa: E402
from protocol.terms import Attestation, BookReceipt, Message, Offer, Order, UsageReceipt, Voucher  # noqa: E402

PATH = Path(__file__).parent / "messages.json"
DOMAIN = Domain(chain_id=31337, ledger=checksum_address("0x" + "00" * 19 + "11"))
KEY = LocalKey(keccak256(b"gridlease golden vector key"))


def _address(label: str) -> Any:
    return checksum_address(keccak256(label.encode())[12:])


def _full(kind: type[Message], seed: str) -> Any:
    """A message in which every field has its own value, as wide as it fits."""
    values: dict[str, Any] = {}
    for name, solidity in kind.TYPES.items():
        noise = keccak256(f"{seed}/{name}".encode())
        if solidity == "address":
            values[name] = checksum_address(noise[12:])
        elif solidity == "bytes32":
            values[name] = noise
        elif solidity == "bool":
            values[name] = bool(noise[0] & 1)
        else:
            values[name] = int.from_bytes(noise, "big") >> (256 - int(solidity.removeprefix("uint")))
    return kind(**values)


def _plain_offer() -> Offer:
    quantities = Quantities(cpu_eighths=64, memory_quarter_gib=64, disk_gib=100, carbon_headroom=1700)
    return Offer(
        provider=_address("provider"),
        quantities=quantities.pack(),
        traits=pack_traits(["wasi-det/1", "solar"]),
        zone=1,
        meter=1,
        rate=2_400_000,
        capacity=1,
        min_duration=10,
        max_duration=3600,
        notice=30,
        expiry=1_800_000_000,
        epoch=0,
        salt=1,
    )


def _plain_order() -> Order:
    return Order(
        buyer=_address("buyer"),
        voucher_signer=_address("signer"),
        job=keccak256(b"job"),
        quantities=Quantities(memory_quarter_gib=1).pack(),
        all_of=pack_traits(["wasi-det/1"]),
        meter=1,
        max_rate=5_000_000,
        quantity=2000,
        duration=900,
        budget=20_000,
        max_leases=3,
        notice=60,
        matcher=_address("matcher"),
        matcher_until=1_800_000_000,
        fee=100,
        expiry=1_800_000_000,
        epoch=0,
        salt=7,
    )


def _entry(message: Any) -> dict[str, Any]:
    return {
        "message": to_json(message),
        "structHash": to_hex(struct_hash(message)),
        "digest": to_hex(digest(DOMAIN, message)),
        "signer": KEY.address,
        "signature": to_hex(sign(DOMAIN, message, KEY)),
    }


def _resources() -> list[dict[str, Any]]:
    most = Quantities(**dict.fromkeys(Quantities.__slots__, 32767)).pack()
    one = Quantities(**dict.fromkeys(Quantities.__slots__, 1)).pack()
    pairs = [(0, 0), (one, 0), (0, one), (one, one), (most, one), (one, most), (most, most), (GUARDS, 0), (one, GUARDS)]
    for lane in range(16):
        pairs += [(5 << 16 * lane, 5 << 16 * lane), (5 << 16 * lane, 6 << 16 * lane), (most, 1 << (16 * lane + 15))]
    return [
        {"offered": to_hex(a.to_bytes(32, "big")), "needed": to_hex(b.to_bytes(32, "big")), "covers": lanes_cover(a, b)}
        for a, b in pairs
    ]


def _heads() -> list[dict[str, Any]]:
    head, rows = LedgerHead(), []
    for index in range(8):
        event = keccak256(f"event {index}".encode())
        after = head.advance(100 + index // 2, 1_700_000_000 + index, event)
        rows.append(
            {
                "head": to_hex(head.hash.to_bytes(32, "big")),
                "count": head.count,
                "blockNumber": 100 + index // 2,
                "timestamp": 1_700_000_000 + index,
                "eventHash": to_hex(event),
                "next": to_hex(after.hash.to_bytes(32, "big")),
            }
        )
        head = after
    return rows


def vectors() -> dict[str, Any]:
    """The whole file."""
    kinds: dict[str, type[Message]] = {
        "vouchers": Voucher,
        "usageReceipts": UsageReceipt,
        "attestations": Attestation,
        "bookReceipts": BookReceipt,
    }
    content: dict[str, Any] = {
        "domain": {
            "chainId": DOMAIN.chain_id,
            "verifyingContract": DOMAIN.ledger,
            "separator": to_hex(DOMAIN.separator),
        },
        "offers": [_entry(_plain_offer()), *(_entry(_full(Offer, f"offer {i}")) for i in range(3))],
        "orders": [_entry(_plain_order()), *(_entry(_full(Order, f"order {i}")) for i in range(3))],
    }
    for name, kind in kinds.items():
        content[name] = [_entry(_full(kind, f"{name} {index}")) for index in range(3)]
    return content | {"resources": _resources(), "heads": _heads()}


def main() -> int:
    text = json.dumps(vectors(), indent=1) + "\n"
    if "--check" not in sys.argv:
        PATH.write_text(text)
        return 0
    if PATH.read_text() == text:
        return 0
    sys.stderr.write("tests/vectors/messages.json is out of date: run `make vectors`\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
