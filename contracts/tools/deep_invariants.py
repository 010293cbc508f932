#!/usr/bin/env python3
"""The recorded deep run of the invariants: `deep_invariants.py --shards 20`.

A shard is one `forge test` of all invariants with its own seed. Each finished shard adds a row to
test/invariant/RESULTS.md; the same command goes on with those that have none yet. A broken invariant ends it with 1
and forge's own shortest story.
"""

import argparse
import hashlib
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
RESULTS = PROJECT / "test" / "invariant" / "RESULTS.md"
CALLS = re.compile(r"invariant_\w+\(\) \(runs: \d+, calls: (\d+)")
WHAT_RUNS = ("src", "test/invariant", "test/court/invariant", "test/support", "test/court/support")


def fingerprint() -> str:
    """12 hex digits over the contracts and the invariants: rows of other code do not count."""
    digest = hashlib.sha256()
    for folder in WHAT_RUNS:
        for path in sorted((PROJECT / folder).rglob("*.sol")):
            digest.update(path.relative_to(PROJECT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def rows() -> list[list[str]]:
    """seed, calls, invariants, runs, seconds, commit, code"""
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| 0x")]
    return [row for row in cells if len(row) == 7]


def run_shard(seed: str, runs: int) -> tuple[int, int, str]:
    """(calls, invariants, forge's output)"""
    ended = subprocess.run(
        ["tools/foundry", "forge", "test", "--match-test", "^invariant_", "--fuzz-seed", seed],
        cwd=PROJECT,
        env=os.environ | {"FOUNDRY_INVARIANT_RUNS": str(runs)},
        capture_output=True,
        text=True,
        check=False,
    )
    calls = [int(number) for number in CALLS.findall(ended.stdout)]
    if ended.returncode != 0:
        print(ended.stdout, ended.stderr, file=sys.stderr)
        raise SystemExit(1)
    return sum(calls), len(calls), ended.stdout


def record(row: list[str]) -> None:
    if not RESULTS.exists():
        RESULTS.write_text(
            "# The deep run of the invariants\n\nEach row is one `forge test` of all invariants with its own seed: "
            "`contracts/tools/deep_invariants.py`. `code` is a\nfingerprint of the contracts and the invariants; "
            f"rows with another code are of older code. {platform.machine()}, {os.cpu_count()} cores.\n\n"
            "| seed | calls | invariants | runs each | seconds | commit | code |\n"
            "| --- | ---: | ---: | ---: | ---: | --- | --- |\n"
        )
    with RESULTS.open("a") as file:
        file.write(f"| {' | '.join(row)} |\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=20, help="seeds from 0x1 on (default 20)")
    parser.add_argument("--runs", type=int, default=100, help="runs of each invariant in a shard (default 100)")
    options = parser.parse_args()
    code = fingerprint()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
    for number in range(1, options.shards + 1):
        seed = f"0x{number:x}"
        if any(row[0] == seed and row[6] == code for row in rows()):
            continue
        begun = time.monotonic()
        calls, invariants, _ = run_shard(seed, options.runs)
        seconds = round(time.monotonic() - begun)
        record([seed, f"{calls:,}", str(invariants), str(options.runs), str(seconds), commit.strip(), code])
        total = sum(int(row[1].replace(",", "")) for row in rows() if row[6] == code)
        print(f"shard {number} of {options.shards}: {calls:,} calls in {seconds} s; {total:,} so far", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
