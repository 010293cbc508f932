"""The recorded run: `python -m tests.differential.run --operations 1000000 --seed 1 --shards 20`.

Shards run side by side, print their progress and can be resumed: the same command goes on where it was stopped. A
difference stops the run with the shortest list of operations that shows it.
"""

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tests.differential.episodes import EPISODE, Failure, live, shrink, table
from tests.differential.outcomes import reachable
from tests.differential.recording import ROOT, Shard, append, commit_of_tree


def run_shard(folder: Path, seed: str, number: int, episodes: int) -> tuple[int, str]:
    """(shard, what went wrong or nothing)"""
    shard = Shard(folder, number)
    while shard.done < episodes:
        begun = time.monotonic()
        try:
            counts = live(f"{seed}/{number}/{shard.done}")
        except Failure as failure:
            return number, str(shrink(failure))
        shard.counts += Counter({f"{name} {outcome}": count for (name, outcome), count in counts.items()})
        shard.done += 1
        shard.seconds += time.monotonic() - begun
        shard.save()
        if shard.done % 20 == 0:
            rate = EPISODE * shard.done / shard.seconds
            print(
                f"shard {number}: {EPISODE * shard.done} of {EPISODE * episodes} operations, {rate:.0f}/s", flush=True
            )
    return number, ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=1_000_000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--shards", type=int, default=20)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    episodes = -(-options.operations // (EPISODE * options.shards))
    folder = ROOT / ".gridlease" / "differential" / f"{options.seed}-{options.operations}-{options.shards}"
    folder.mkdir(parents=True, exist_ok=True)
    commit, begun = commit_of_tree(), time.monotonic()
    with ProcessPoolExecutor(options.processes) as pool:
        jobs = [pool.submit(run_shard, folder, options.seed, number, episodes) for number in range(options.shards)]
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
    counts = Counter({(name.split(" ", 1)[0], name.split(" ", 1)[1]): count for name, count in total.items()})
    missing = sorted(reachable() - set(counts))
    print(table(counts))
    print(f"not reached: {missing or 'nothing'}")
    operations = EPISODE * sum(shard.done for shard in shards)
    row = {
        "name": "model against bytecode, operations without a difference",
        "value": operations,
        "unit": "operations",
        "goal": 1_000_000,
        "holds": operations >= 1_000_000 and not missing,
        "seeds": f"{options.seed}/0..{options.shards - 1}/0..{episodes - 1}",
        "count": operations,
        "duration_s": round(time.monotonic() - begun),
        "cpu_s": round(sum(shard.seconds for shard in shards)),
        "outcomes": {f"{name} · {outcome}": count for (name, outcome), count in sorted(counts.items())},
    }
    print(append(row, commit))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
