"""The whole market under faults: `python -m tests.faults.market --stack embedded --cycles 60 --seed 1`.

Node, indexer, server and worker run as `gridlease dev` runs them; jobs keep coming. In each cycle a process dies at a
named crash point, and one or two other faults come (plan.py). Then, within a minute, nothing may be lost, doubled,
stuck or jammed, and the market's database, the mirror and the contract must say the same. `--record` keeps the figures
in bench/results; a failure leaves its folder, and the same seed draws the same faults again.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import structlog

from bench.record import write
from protocol.errors import GridleaseError
from tests.faults.market import stacks
from tests.faults.market.books import Broken
from tests.faults.market.campaign import MINUTE_SECONDS, Campaign, last_words
from tests.faults.market.people import at_work
from tests.faults.market.plan import cycles
from tests.support.receiver import receiving


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cycles", type=int, default=60)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--stack", choices=stacks.NAMES, default=stacks.NAMES[0])
    parser.add_argument("--patience", type=float, default=MINUTE_SECONDS, help="seconds, for a machine that is busy")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    begun = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="gridlease-faults-"))
    with receiving() as receiver, stacks.standing(options.stack, folder / "house") as stack:
        campaign = Campaign(folder / "house", stack, receiver, options.patience)
        done = 0
        try:
            campaign.open()
            with at_work(campaign.providers):
                for cycle in cycles(options.cycles, options.seed):
                    said = campaign.run(cycle)
                    done += 1
                    print(f"{time.monotonic() - begun:5.0f} s  {done} of {options.cycles}: {said}", flush=True)
                campaign.finish()
            ends = campaign.books.ends()
        except (Broken, GridleaseError) as error:
            print(f"seed {options.seed}, cycle {done + 1}: {error}\n{last_words(campaign, 40)}", file=sys.stderr)
            print(f"all of it is in {folder}", file=sys.stderr)
            return 1
        finally:
            campaign.close()
    shutil.rmtree(folder)
    rows = _rows(campaign, options, ends, round(time.monotonic() - begun))
    if options.record:
        command = (
            f"python -m tests.faults.market --stack {options.stack} --cycles {options.cycles} --seed {options.seed}"
        )
        print(write(f"faults-{options.stack}", rows, f"{command} --record"))
    else:
        for row in rows:
            print(row)
    return 0


def _rows(campaign: Campaign, options: argparse.Namespace, ends: dict[str, int], seconds: int) -> list[dict[str, Any]]:
    told = campaign.told + sum((node.told for node in campaign.house.nodes), Counter())
    return [
        {
            "name": f"faults of the whole market on {options.stack}: nothing lost, doubled, stuck or jammed",
            "value": options.cycles,
            "unit": "cycles",
            "goal": 500,
            "holds": options.cycles >= 500,
            "seed": options.seed,
            "jobs": len(campaign.buyer.accepted),
            "calls_repeated": campaign.buyer.repeated,
            "deaths": dict(campaign.house.deaths),
            "faults": dict(told),
            "ends": ends,
            "duration_s": seconds,
        },
        {
            "name": f"longest time from the end of the trouble until all was done, on {options.stack}",
            "value": round(campaign.longest_seconds, 1),
            "unit": "s",
            "goal": MINUTE_SECONDS,
            "holds": campaign.longest_seconds <= MINUTE_SECONDS,
        },
    ]


if __name__ == "__main__":
    raise SystemExit(main())
