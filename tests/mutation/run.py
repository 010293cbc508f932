"""Mutation of ledger and court: `python -m tests.mutation.run --seed 1 --mutants 400`.

The same command goes on where it was stopped. `--again 17 23` tries these numbers of the draw once more, `--report`
only writes contracts/test/mutation/RESULTS.md (RESULTS-<seed>.md but for seed 1). Needs the tests' build: `forge
build` in contracts/.
"""

import argparse
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Final

from tests.differential.recording import commit_of_tree
from tests.mutation.campaign import COUNTED, Campaign, record_of
from tests.mutation.compiler import Compiler
from tests.mutation.drawing import drawn
from tests.mutation.mutating import Mutant, mutants
from tests.mutation.report import write
from tests.mutation.sources import Source, fingerprint, load
from tests.mutation.trial import Bench, Verdict
from tests.mutation.workspace import Workspace

_HOME: Final = Path(__file__).parents[2] / ".gridlease" / "mutation"


def _try(
    campaign: Campaign, trial: Callable[[Mutant], Verdict], sources: dict[str, Source], number: int, mutant: Mutant
) -> None:
    begun = time.monotonic()
    verdict = trial(mutant)
    record = record_of(number, mutant, sources[mutant.file], verdict, time.monotonic() - begun)
    campaign.add(record)
    killer = f" by {record.by}: {record.detail}" if record.by else ""
    place = f"{record.file}:{record.line}"
    print(f"{number}: {place} {record.operator}: {record.what}{killer} ({record.seconds} s)", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--mutants", type=int, default=400, help="that count: compiled, and other code")
    parser.add_argument("--again", type=int, nargs="*", default=[], help="numbers of the draw")
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()

    compiler = Compiler()
    sources, declarations = load(compiler)
    facts = {"seed": options.seed, "commit": commit_of_tree(), "sources": fingerprint(sources)}
    campaign = Campaign(_HOME / f"{options.seed}.jsonl", facts)
    candidates = [mutant for source in sources.values() for mutant in mutants(source, declarations)]
    order = list(drawn(options.seed, candidates))
    if not options.report:
        workspace = Workspace(_HOME / f"workspace-{options.seed}")
        workspace.prepare()
        bench = Bench(compiler, sources, workspace)
        verdict = bench.unmutated()
        if verdict.what != "left":
            print(f"the unmutated contracts fail: {verdict}", file=sys.stderr)
            return 1
        for number in options.again:
            _try(campaign, bench.quickly, sources, number, order[number])
        for number in count() if not options.again else ():
            if sum(record.what in COUNTED for record in campaign.records.values()) >= options.mutants:
                break
            if number not in campaign.records:
                _try(campaign, bench.quickly, sources, number, order[number])
        for number in [number for number, record in campaign.records.items() if record.what == "left"]:
            _try(campaign, bench.thoroughly, sources, number, order[number])
    compiler.close()
    print(write(campaign, len(candidates)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
