#!/usr/bin/env python3
"""Reads `forge test` from stdin, passes it on, and adds up the calls of the invariants.

`forge test | count_calls.py` prints how many calls the invariants made, and how often each function of the ledger
was called under each behaviour of the token. Ends with 1 if the calls are fewer than --least or a function never met
a behaviour.
"""

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

COUNTS = Path(__file__).resolve().parents[1] / "cache" / "invariant-calls.txt"
BEHAVIOURS = ("standard", "no return", "false", "fee", "up", "down", "blocklist", "pause", "hook", "bomb")
CALLS = re.compile(r"invariant_\w+\(\) \(runs: \d+, calls: (\d+)")


def matrix_of(text: str) -> dict[str, list[int]]:
    """Calls of each function under each behaviour, over all lines `<function> <ten numbers>`."""
    sums: dict[str, list[int]] = {}
    for line in text.splitlines():
        name, *numbers = line.split() or [""]
        if len(numbers) != len(BEHAVIOURS):
            continue
        row = sums.setdefault(name, [0] * len(BEHAVIOURS))
        for column, number in enumerate(numbers):
            row[column] += int(number)
    return sums


def table_of(sums: dict[str, list[int]]) -> str:
    wide = max(map(len, sums), default=0)
    lines = [" " * wide + "".join(f"{name:>11}" for name in BEHAVIOURS)]
    lines += [f"{name:<{wide}}" + "".join(f"{number:>11,}" for number in sums[name]) for name in sorted(sums)]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--least", type=int, default=500_000, help="calls of all invariants together (default 500,000)")
    least = parser.parse_args().least

    COUNTS.unlink(missing_ok=True)
    found: Counter[str] = Counter()
    for line in sys.stdin:
        sys.stdout.write(line)
        sys.stdout.flush()
        for calls in CALLS.findall(line):
            found["calls"] += int(calls)
            found["functions"] += 1

    sums = matrix_of(COUNTS.read_text()) if COUNTS.exists() else {}
    print(f"\ncalls by function and behaviour of the token\n{table_of(sums)}")
    print(f"\n{found['calls']:,} calls over {found['functions']} invariants")
    unmet = [f"{name} under {BEHAVIOURS[i]}" for name in sums for i, number in enumerate(sums[name]) if number == 0]
    if found["calls"] < least:
        print(f"fewer than {least:,} calls of invariants", file=sys.stderr)
    if unmet or not sums:
        print(f"never called: {', '.join(unmet) or 'anything'}", file=sys.stderr)
    return int(found["calls"] < least or bool(unmet) or not sums)


if __name__ == "__main__":
    raise SystemExit(main())
