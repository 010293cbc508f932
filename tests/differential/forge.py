"""The recorded campaign: `python -m tests.differential.forge --messages 2000000 --seed 1 --shards 20`.

Shards run side by side and can be resumed by the same command.
"""

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tests.differential.episodes import table
from tests.differential.forging import PART, Accepted, Forger
from tests.differential.recording import ROOT, Shard, append, commit_of_tree


def run_shard(folder: Path, seed: str, number: int, parts: int) -> tuple[int, str]:
    """(shard, what was accepted or nothing)"""
    shard = Shard(folder, number)
    while shard.done < parts:
        begun = time.monotonic()
        forger = Forger(f"{seed}/{number}/{shard.done}")
        try:
            counts = forger.run(PART)
        except Accepted as accepted:
            return number, f"{seed}/{number}/{shard.done}: {accepted}"
        shard.counts += Counter({f"{target}|{kind}": count for (target, kind), count in counts.items()})
        shard.counts["genuine|accepted"] += forger.controls
        shard.done += 1
        shard.seconds += time.monotonic() - begun
        shard.save()
        if shard.done % 10 == 0:
            rate = PART * shard.done / shard.seconds
            print(f"shard {number}: {PART * shard.done} of {PART * parts} forgeries, {rate:.0f}/s", flush=True)
    return number, ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=2_000_000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--shards", type=int, default=20)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    parts = -(-options.messages // (PART * options.shards))
    folder = ROOT / ".gridlease" / "forging" / f"{options.seed}-{options.messages}-{options.shards}"
    folder.mkdir(parents=True, exist_ok=True)
    commit, begun = commit_of_tree(), time.monotonic()
    with ProcessPoolExecutor(options.processes) as pool:
        jobs = [pool.submit(run_shard, folder, options.seed, number, parts) for number in range(options.shards)]
        for job in as_completed(jobs):
            number, wrong = job.result()
            if wrong:
                pool.shutdown(cancel_futures=True)
                print(f"shard {number}: {wrong}", file=sys.stderr)
                return 1
    shards = [Shard(folder, number) for number in range(options.shards)]
    total: Counter[str] = Counter()
    for shard in shards:
        total += shard.counts
    controls = total.pop("genuine|accepted", 0)
    counts = Counter({(name.split("|")[0], name.split("|")[1]): count for name, count in total.items()})
    print(table(counts))
    kinds: Counter[str] = Counter()
    for (_, kind), count in counts.items():
        kinds[kind] += count
    messages = sum(counts.values())
    row = {
        "name": "forged messages, none accepted",
        "value": messages,
        "unit": "messages",
        "goal": 2_000_000,
        "holds": messages >= 2_000_000,
        "seeds": f"{options.seed}/0..{options.shards - 1}/0..{parts - 1}",
        "count": messages,
        "duration_s": round(time.monotonic() - begun),
        "cpu_s": round(sum(shard.seconds for shard in shards)),
        "controls_accepted": controls,
        "kinds": dict(sorted(kinds.items())),
    }
    print(append(row, commit))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
