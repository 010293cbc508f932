#!/usr/bin/env python3
"""Writes snapshots/README.md: each measured figure beside its floor on paper; --check says if it is up to date.

A floor is what no contract of this design can avoid: the transaction, its calldata, its recovers, the slots it must
read and write, its events and hashes, at the prices of the Cancun yellow paper and EIPs 2929, 2200, 1153 and 2028.
Memory, jumps, stack work and comparisons cost nothing here, so a ratio of 1 cannot be reached.
"""

import argparse
import json
import sys
from pathlib import Path

SNAPSHOTS = Path(__file__).resolve().parents[1] / "snapshots"

BASE = 21_000
COLD = 2_100
WARM = 100
#: a slot from 0 to something, from something else to something, and once more in the same transaction
CREATE = 20_000 + COLD
CHANGE = 2_900 + COLD
AGAIN = 2 * WARM
RECOVER = 3_000 + WARM
#: one read and two writes of transient storage
LOCK = 3 * WARM
COLD_CONTRACT = 2_600


def keccak(words: int) -> int:
    return 30 + 6 * words


def log(topics: int, words: int) -> int:
    return 375 + 375 * topics + 256 * words


#: of an entry in a mapping
PLACE = keccak(2)
#: of an EIP-712 digest, from the struct hash
DIGEST = keccak(3)


def event(topics: int, words: int) -> int:
    """An event in the ledger head: the log, its hash and the next link; the head's slot comes apart."""
    return log(topics, words) + keccak(topics + words) + keccak(5)


OFFER = keccak(17) + DIGEST + RECOVER + COLD + 2 * PLACE
ORDER = keccak(32) + DIGEST + keccak(2) + COLD + 2 * PLACE
LEASE = 2 * CREATE + PLACE
OPENED = event(4, 14)
VOUCHER = keccak(6) + DIGEST + RECOVER + (COLD + CHANGE + PLACE)
REDEEMED = event(3, 4)


def open_1() -> int:
    accounts = 3 * (CHANGE + PLACE)
    registry = COLD_CONTRACT + COLD + 2 * PLACE
    return BASE + LOCK + OFFER + ORDER + RECOVER + LEASE + accounts + registry + CHANGE + OPENED


def open_50() -> int:
    once = BASE + LOCK + 5 * OFFER + CHANGE + event(2, 1)
    buyers = 50 * (CHANGE + PLACE)
    providers = 5 * CHANGE + 45 * AGAIN + 50 * PLACE
    opener = CHANGE + 49 * AGAIN + 50 * PLACE
    registry = COLD_CONTRACT + 49 * WARM + 5 * COLD + 45 * WARM + 100 * PLACE
    return (once + 50 * (ORDER + RECOVER + LEASE + OPENED) + buyers + providers + opener + registry) // 50


def failover_1() -> int:
    """No second signature; one slot of the predecessor instead."""
    return open_1() - RECOVER + COLD + PLACE + keccak(2)


def redeem_1() -> int:
    return BASE + LOCK + VOUCHER + CHANGE + PLACE + CHANGE + REDEEMED


def redeem_50() -> int:
    once = BASE + LOCK + CHANGE
    providers = 5 * CHANGE + 45 * AGAIN + 50 * PLACE
    return (once + 50 * (VOUCHER + REDEEMED) + providers) // 50


#: case, most that it may cost, floor without calldata
CASES = (
    ("open_1", 135_000, open_1()),
    ("open_per_lease_50", 88_000, open_50()),
    ("failover_1", 135_000, failover_1()),
    ("redeem_1", 50_000, redeem_1()),
    ("redeem_per_voucher_50", 18_500, redeem_50()),
)


def page() -> str:
    measured = json.loads((SNAPSHOTS / "ComputeLedger.json").read_text())
    calldata = json.loads((SNAPSHOTS / "Calldata.json").read_text())
    lines = [
        "# Gas",
        "",
        "Transaction gas as `make gas` measures it (`ComputeLedger.json`), beside its floor on paper",
        "(`contracts/tools/gas_floors.py`: transaction, calldata, recovers, slots, events and hashes, nothing else).",
        "",
        "| case | most | measured | floor | of it calldata | measured / floor |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, most, rest in CASES:
        gas, data = int(measured[name]), int(calldata[name])
        floor = rest + data
        lines.append(f"| `{name}` | {most:,} | {gas:,} | {floor:,} | {data:,} | {gas / floor:.3f} |")
    lines += ["", "Reported without a bound:", "", "| case | measured |", "| --- | ---: |"]
    bound = {name for name, _, _ in CASES}
    lines += [f"| `{name}` | {int(gas):,} |" for name, gas in measured.items() if name not in bound]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page differs")
    check = parser.parse_args().check
    path, text = SNAPSHOTS / "README.md", page()
    if not check:
        path.write_text(text)
        print(text)
        return 0
    if path.exists() and path.read_text() == text:
        return 0
    print("contracts/snapshots/README.md is not up to date; run make gas", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
